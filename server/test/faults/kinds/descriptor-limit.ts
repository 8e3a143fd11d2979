import { spawnSync } from "node:child_process";
import type { Fault, Trial } from "../fault.ts";
import { addFindings, describeFindings, noFindings, type Findings } from "../findings.ts";
import { hastyService } from "../hasty-entry.ts";
import { listThroughApi } from "../read-back.ts";
import { manyConnections, Rig } from "../rig.ts";

/** Some thirty are taken before the first connection. */
const limits = [56, 100] as const;
const patienceMs = 30_000;

/** More connections than a process may have file descriptors. */
export const descriptorLimit: Fault = {
  name: "descriptors",
  about: `${limits.join(" to ")} file descriptors and ${3 * manyConnections} connections, then a kill`,
  obstacle: () => (spawnSync("prlimit", ["--version"]).status === 0 ? null : "prlimit (util-linux) is not installed"),
  times: (cycles) => Math.max(1, Math.round(cycles / 40)),
  inflict: (trial) => runOut(trial),
  control: {
    about: "a server that says 250 and commits 100 ms later",
    inflict: (trial) => runOut({ ...trial, times: 1 }, hastyService),
  },
};

async function runOut(trial: Trial, entry?: string): Promise<Findings> {
  const sum = noFindings();
  for (let done = 0; done < trial.times && !trial.signal.aborted; done++) {
    await using rig = await Rig.make(trial);
    const limit = rig.random.integer(...limits);
    const broken = await runOutOnce(rig, limit, entry);
    const findings = await rig.judge();
    findings.broken.push(...broken);
    trial.say(`descriptors ${done + 1} of ${trial.times}: limit of ${limit}; ${describeFindings(findings)}`);
    addFindings(sum, { ...findings, times: 1 });
  }
  return sum;
}

async function runOutOnce(rig: Rig, limit: number, entry?: string): Promise<string[]> {
  const broken: string[] = [];
  const under = ["prlimit", `--nofile=${limit}:${limit}`];
  await using service = await rig.serve({ under, ...(entry === undefined ? {} : { entry }) });
  const crowd = rig.load(service, 3 * manyConnections);
  if (!(await crowd.reaches(({ acknowledged }) => acknowledged >= 500, patienceMs))) {
    broken.push(`no 500 mails were taken at a limit of ${limit}`);
  }
  if (entry !== undefined) {
    await rig.kill(service, crowd);
    return broken;
  }
  await crowd.finish();
  if (service.hasExited) return [...broken, `the server ended\n${service.log.join("\n")}`];
  for (const resident of rig.residents) {
    const listed = await listThroughApi(service.report.http, resident).catch((error: unknown) => String(error));
    if (typeof listed === "string") broken.push(`reading did not go on: ${listed}`);
  }
  const few = rig.load(service, 5);
  if (!(await few.reaches(({ acknowledged }) => acknowledged >= 100, patienceMs))) {
    broken.push("mail was not taken once the crowd had gone");
  }
  await rig.kill(service, few);
  return broken;
}
