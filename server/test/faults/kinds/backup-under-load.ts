import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { projectRoot } from "../../support/project-files.ts";
import { serviceEnvironment } from "../../support/service-process.ts";
import type { Fault, Trial } from "../fault.ts";
import { addFindings, describeFindings, noFindings, type Findings } from "../findings.ts";
import { readLedger, type LedgerEntry } from "../ledger.ts";
import { Rig } from "../rig.ts";

const run = promisify(execFile);
const patienceMs = 30_000;

/** A backup taken while mail comes in, and put back elsewhere. */
export const backupUnderLoad: Fault = {
  name: "backup",
  about: "`catmails backup` under load, then `catmails restore`: all that was acknowledged before it began",
  obstacle: () => null,
  times: (cycles) => Math.max(1, Math.round(cycles / 20)),
  inflict: (trial) => backUpAgainAndAgain(trial, backUpAndRestore),
  control: {
    about: "the database's file is copied as it is",
    inflict: (trial) => backUpAgainAndAgain({ ...trial, times: 1 }, copyTheFile),
  },
};

/** Makes another data directory out of one that a server is writing to. */
type Copy = (rig: Rig, dataDir: string) => Promise<void>;

const backUpAndRestore: Copy = async (rig, dataDir) => {
  const file = `${dataDir}.backup`;
  await runCommand(rig.dataDir, ["backup", file]);
  await runCommand(dataDir, ["restore", file]);
};

const copyTheFile: Copy = async (rig, dataDir) => {
  mkdirSync(dataDir, { mode: 0o700 });
  copyFileSync(join(rig.dataDir, "catmails.db"), join(dataDir, "catmails.db"));
};

async function runCommand(dataDir: string, args: readonly string[]): Promise<void> {
  const program = join(projectRoot, "server/bin/catmails.mjs");
  await run(process.execPath, [program, ...args], { env: serviceEnvironment(dataDir) });
}

async function backUpAgainAndAgain(trial: Trial, copy: Copy): Promise<Findings> {
  await using rig = await Rig.make(trial);
  const sum = noFindings();
  const copies: { dataDir: string; before: ReadonlyMap<string, LedgerEntry> }[] = [];
  {
    await using service = await rig.serve();
    const load = rig.load(service);
    for (let done = 0; done < trial.times && !trial.signal.aborted; done++) {
      // The first comes before the log has been copied back once: the control needs something that the file has not.
      const goal = load.acknowledged + rig.random.integer(100, 300);
      await load.reaches(({ acknowledged }) => acknowledged >= goal, patienceMs);
      const before = readLedger(rig.ledger.path);
      const dataDir = rig.path(`copy-${done}`);
      await copy(rig, dataDir);
      copies.push({ dataDir, before });
      await delay(20);
    }
    await rig.kill(service, load);
  }
  const after = readLedger(rig.ledger.path);
  for (const [index, { dataDir, before }] of copies.entries()) {
    const findings = await rig.judgeCopy(dataDir, knownAt(before, after)).catch((error: unknown) => {
      return { ...noFindings(), broken: [String(error)] };
    });
    trial.say(`backup ${index + 1} of ${trial.times}: ${describeFindings(findings)}`);
    addFindings(sum, { ...findings, times: 1 });
  }
  // Nothing of all this may have touched the original.
  addFindings(sum, await rig.judge());
  return sum;
}

/** What was acknowledged before has to be there; what came or ended later may be. */
function knownAt(
  before: ReadonlyMap<string, LedgerEntry>,
  after: ReadonlyMap<string, LedgerEntry>,
): Map<string, LedgerEntry> {
  const entries = [...after.values()].map((entry): LedgerEntry => {
    const early = before.get(entry.token)?.attempts ?? [];
    const attempts = entry.attempts.map((attempt, index) =>
      attempt.state === "acknowledged" && early[index]?.state !== "acknowledged"
        ? { ...attempt, state: "unknown" as const }
        : attempt,
    );
    return { ...entry, attempts };
  });
  return new Map(entries.map((entry) => [entry.token, entry]));
}
