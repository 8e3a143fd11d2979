import { statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Fault, Trial } from "../fault.ts";
import { addFindings, describeFindings, noFindings, type Findings } from "../findings.ts";
import { hastyService } from "../hasty-entry.ts";
import { Rig } from "../rig.ts";

/** So many kills meet the same data before all of it is read back. */
const killsPerRig = 20;
const patienceMs = 30_000;

/** SIGKILL at a random moment under load, again and again on the same data. */
export const kill: Fault = {
  name: "kill",
  about: "`kill -9` under the load of 50 connections",
  obstacle: () => null,
  times: (cycles) => cycles,
  inflict: (trial) => killAgainAndAgain(trial),
  control: {
    about: "a server that says 250 and commits 100 ms later",
    inflict: (trial) => killAgainAndAgain({ ...trial, times: 1 }, hastyService),
  },
};

async function killAgainAndAgain(trial: Trial, entry?: string): Promise<Findings> {
  const sum = noFindings();
  for (let done = 0; done < trial.times && !trial.signal.aborted; done += killsPerRig) {
    await using rig = await Rig.make(trial);
    for (let kills = done; kills < Math.min(done + killsPerRig, trial.times) && !trial.signal.aborted; kills++) {
      const line = await killOnce(rig, entry);
      sum.times++;
      trial.say(`kill ${kills + 1} of ${trial.times}: ${line}`);
    }
    const findings = await rig.judge();
    trial.say(describeFindings(findings));
    addFindings(sum, findings);
  }
  return sum;
}

async function killOnce(rig: Rig, entry?: string): Promise<string> {
  await using service = await rig.serve(entry === undefined ? {} : { entry });
  const load = rig.load(service);
  // The control is there to be noticed, not to be long.
  const goal = entry === undefined ? momentOf(rig) : 300;
  const startedMs = performance.now();
  await load.reaches(({ acknowledged }) => acknowledged >= goal, patienceMs);
  await delay(rig.random.integer(0, 40));
  if (service.hasExited) throw new Error(`the server ended by itself\n${service.log.join("\n")}`);
  const ms = performance.now() - startedMs;
  await rig.kill(service, load);
  // The database grows only when the log is copied back, so the sizes tell whether kills met a checkpoint.
  const bytes = statSync(join(rig.dataDir, "catmails.db")).size;
  return `${load.acknowledged} acknowledged in ${ms.toFixed(0)} ms, database of ${(bytes / 2 ** 20).toFixed(0)} MiB`;
}

/** Mails until the kill: mostly about 1,300, and now and then so few that the start of the server is hit. */
function momentOf({ random }: Rig): number {
  return random.chance(0.1) ? random.integer(0, 50) : random.integer(900, 1700);
}
