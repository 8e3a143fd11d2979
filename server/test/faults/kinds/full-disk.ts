import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { settings } from "../../../src/settings.ts";
import type { ServiceProcess } from "../../support/service-process.ts";
import { TemporaryDirectory } from "../../support/temporary-directory.ts";
import type { Fault, Trial } from "../fault.ts";
import { addFindings, describeFindings, noFindings, type Findings } from "../findings.ts";
import { hastyService } from "../hasty-entry.ts";
import type { Load } from "../load.ts";
import { listThroughApi } from "../read-back.ts";
import { Rig } from "../rig.ts";

const smallMiB = 24;
const bigMiB = 1024;
const patienceMs = 60_000;
const recoversWithinMs = 5000;

/** A file system that fills up, and is given room again under the running server. */
export const fullDisk: Fault = {
  name: "full-disk",
  about: `a file system of ${smallMiB} MiB runs full; a kill and a start on it; it is given room again, then a kill`,
  obstacle: () => (canMount() ? null : "only root may mount a small file system, and not everywhere"),
  times: (cycles) => Math.max(1, Math.round(cycles / 40)),
  inflict: (trial) => fillUp(trial),
  control: {
    about: "a server that says 250 whatever the disk says",
    inflict: (trial) => fillUp({ ...trial, times: 1 }, hastyService),
  },
};

async function fillUp(trial: Trial, entry?: string): Promise<Findings> {
  const sum = noFindings();
  for (let done = 0; done < trial.times && !trial.signal.aborted; done++) {
    using disk = new SmallDisk();
    await using rig = await Rig.make({ ...trial, dataDir: disk.dataDir });
    const { broken, line } = await fillOnce(rig, disk, entry);
    const findings = await rig.judge();
    findings.broken.push(...broken);
    trial.say(`full-disk ${done + 1} of ${trial.times}: ${line}; ${describeFindings(findings)}`);
    addFindings(sum, { ...findings, times: 1 });
  }
  return sum;
}

async function fillOnce(rig: Rig, disk: SmallDisk, entry?: string): Promise<{ broken: string[]; line: string }> {
  const broken: string[] = [];
  const smallMails = { CATMAILS_SMTP_MAX_MESSAGE_BYTES: "1048576" };
  const env = { ...smallMails, ...noFloor() };
  if (entry !== undefined) {
    await using hasty = await rig.serve({ env, entry });
    const load = rig.load(hasty);
    await load.reaches(({ acknowledged }) => acknowledged >= 3000, patienceMs);
    disk.grow();
    await rig.kill(hasty, load);
    return { broken, line: "filled" };
  }
  {
    await using filling = await rig.serve({ env });
    const load = rig.load(filling);
    broken.push(...(await findFull(rig, filling, load)));
    await rig.kill(filling, load);
  }
  await using service = await rig.serve({ env });
  const load = rig.load(service);
  broken.push(...(await findFull(rig, service, load)));
  const { acknowledged } = load;
  disk.grow();
  const grownMs = performance.now();
  const recovers = await load.reaches((now) => now.acknowledged >= acknowledged + 10, recoversWithinMs);
  const recoveredMs = performance.now() - grownMs;
  if (!recovers) broken.push(`no mail was taken within ${recoversWithinMs} ms after there was room`);
  await load.reaches((now) => now.acknowledged >= acknowledged + 300, patienceMs);
  await rig.kill(service, load);
  return {
    broken,
    line: `full, started again on it, taking mail ${recoveredMs.toFixed(0)} ms after there was room`,
  };
}

/** What is wrong with a server whose disk is full: all that was stored has to be read as ever. */
async function findFull(rig: Rig, service: ServiceProcess, load: Load): Promise<string[]> {
  const broken: string[] = [];
  // Small mails still fit where big ones do not, so it is full only after some time of refusing.
  if (!(await load.reaches(({ delayed }) => delayed >= 500, patienceMs))) broken.push("the disk never was full");
  for (const resident of rig.residents) {
    const listed = await listThroughApi(service.report.http, resident).catch((error: unknown) => String(error));
    if (typeof listed === "string") broken.push(`reading did not go on: ${listed}`);
    else if (listed.length === 0) broken.push("nothing could be read");
  }
  return broken;
}

/** A server may refuse mail long before a disk is full; on a disk as small as this one it would never take any. */
function noFloor(): Record<string, string> {
  const floor = Object.entries(settings).find(([name]) => name.includes("free"));
  if (floor === undefined) return {};
  const [name, setting] = floor;
  return { [`CATMAILS_${name.toUpperCase()}`]: String("min" in setting ? setting.min : 0) };
}

/** A file system in memory, so that it is full to the byte where we want it. */
class SmallDisk implements Disposable {
  readonly dataDir: string;
  readonly #directory = new TemporaryDirectory();
  readonly #mountPoint: string;

  constructor() {
    this.#mountPoint = join(this.#directory.path, "disk");
    this.dataDir = join(this.#mountPoint, "data");
    mkdirSync(this.#mountPoint);
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${smallMiB}m`, "catmails-test", this.#mountPoint]);
  }

  grow(): void {
    execFileSync("mount", ["-o", `remount,size=${bigMiB}m`, this.#mountPoint]);
  }

  [Symbol.dispose](): void {
    execFileSync("umount", ["--lazy", this.#mountPoint]);
    this.#directory[Symbol.dispose]();
  }
}

function canMount(): boolean {
  using directory = new TemporaryDirectory();
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "catmails-test", directory.path]);
  return mounted.status === 0 && spawnSync("umount", [directory.path]).status === 0;
}
