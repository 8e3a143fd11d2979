import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { makeOldDatabase, newestVersion } from "../../support/old-database.ts";
import { projectRoot } from "../../support/project-files.ts";
import { serviceEnvironment } from "../../support/service-process.ts";
import { realDiskDirectory } from "../../support/temporary-directory.ts";
import type { Fault, Trial } from "../fault.ts";
import { noFindings, type Findings } from "../findings.ts";
import { openStore } from "../household.ts";
import { sha256 } from "../ledger.ts";
import { integrityFaults } from "../read-back.ts";
import { canTrace } from "../strace-file.ts";

const program = join(projectRoot, "server/bin/catmails.mjs");
const carelessMigration = join(import.meta.dirname, "../careless-migration.ts");
/** Everything that changes a file, or makes a change last. */
const changes = ["pwrite64", "ftruncate", "fallocate", "fsync", "fdatasync", "unlink"];
const mailsBefore = 20;
/** Large mails too, which a migration may have to move; one MiB and little more, so that it makes few calls. */
const sizes = [...Array.from({ length: mailsBefore }, (_, index) => 30 + (index + 1) * 500), 1_050_000, 1_060_000];
const mostChanges = ["pwrite64", "fsync"];
/** From so many cycles on each migration is killed at every call; in a shorter run two of them at some of most kinds. */
const everyCallFrom = 40;
/** Calls from one to the next kill of a short run, at most. */
const longStride = 30;
const firstVersion = 1;

/** A migration is killed at every call that changes something on disk; the next start has to complete it. */
export const halfMigration: Fault = {
  name: "migration",
  about: "a migration is killed at each of its writes and syncs, also while a second process does the same",
  obstacle: () => (canTrace() ? null : "strace is not installed, or may not trace here"),
  times: (cycles) => (cycles < everyCallFrom ? 5 : Infinity),
  inflict: (trial) => killAtEachCall(trial, [program, "migrate"]),
  control: {
    about: "the same statements without a transaction",
    inflict: (trial) => killAtEachCall({ ...trial, times: 5 }, [carelessMigration], (sum) => sum.broken.length > 0),
  },
};

/** `isEnough`: asked after each migration that was killed. */
async function killAtEachCall(
  trial: Trial,
  command: readonly string[],
  isEnough: Migration["isEnough"] = () => false,
): Promise<Findings> {
  const sum = noFindings();
  for (const version of versionsFor(trial)) {
    if (isEnough(sum)) break;
    const before = sum.times;
    const migration = { trial, command, version, sum, isEnough };
    for (const name of isShort(trial) ? mostChanges : changes) await killAtEach(name, migration);
    trial.say(`migration from version ${version}: killed ${sum.times - before} times`);
    if (sum.times === before && !trial.signal.aborted) sum.broken.push("the migration was never killed");
  }
  return sum;
}

interface Migration {
  trial: Trial;
  command: readonly string[];
  version: number;
  sum: Findings;
  isEnough: (sum: Findings) => boolean;
}

/** Kills a migration at its first, second, … call of a kind, until it has no such call any more. */
async function killAtEach(name: string, { trial, command, version, sum, isEnough }: Migration): Promise<void> {
  for (
    let call = 1;
    !trial.signal.aborted && !isEnough(sum);
    call += isShort(trial) ? trial.random.integer(1, longStride) : 1
  ) {
    using directory = realDiskDirectory(trial.parent);
    const dataDir = join(directory.path, "data");
    // Version 0 is a database that is not there yet.
    const mails = version < firstVersion ? [] : makeOldDatabase(dataDir, version, sizes);
    const company = trial.random.chance(0.3) ? run([process.execPath, program, "migrate"], dataDir) : null;
    const killed = await run([...straceKill(name, call), process.execPath, ...command], dataDir);
    const beside = await company;
    const where = `from version ${version}, at ${name} ${call}`;
    if (beside !== null && beside.code !== 0) sum.broken.push(`${where}: a second process failed: ${beside.text}`);
    sum.broken.push(...(await faultsAfter(dataDir, mails)).map((fault) => `${where}: ${fault}`));
    // strace ends by the signal that ended what it traced.
    if (killed.code === null) sum.times++;
    else if (killed.code !== 0) sum.broken.push(`${where}: it failed by itself: ${killed.text}`);
    // A second process may have been first, and there was nothing left to do.
    else if (company === null) return;
  }
}

function isShort({ times }: Trial): boolean {
  return Number.isFinite(times);
}

/** Calls are counted for each thread; one thread does the migration. */
function straceKill(name: string, call: number): string[] {
  // Not with --seccomp-bpf: strace then delivers no signal.
  return ["strace", "-f", "-e", `trace=${name}`, "-e", `inject=${name}:signal=KILL:when=${call}`, "-o", "/dev/null"];
}

interface Ended {
  code: number | null;
  text: string;
}

async function run([name = "", ...args]: readonly string[], dataDir: string): Promise<Ended> {
  const child = spawn(name, args, { stdio: ["ignore", "ignore", "pipe"], env: serviceEnvironment(dataDir) });
  let text = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, text };
}

/** The database is opened as a start opens it: it has the newest schema and all that was in it. */
async function faultsAfter(dataDir: string, mails: readonly string[]): Promise<string[]> {
  try {
    await using store = await openStore(dataDir);
    const { schemaVersion } = await store.check();
    const faults = schemaVersion === newestVersion() ? [] : [`left at schema ${schemaVersion}`];
    for (const [index, hash] of mails.entries()) {
      const mail = await store.readMail({ userId: 1, id: index + 1, mailboxIds: null, nowMs: Date.now() });
      if (mail === null || sha256(mail.raw) !== hash) faults.push(`mail ${index + 1} is not what it was`);
    }
    return [...faults, ...integrityFaults(dataDir)];
  } catch (error) {
    return [`could not be opened: ${String(error)}`];
  }
}

/** In a short run from nothing, where most is written, and from one of the older versions. */
function versionsFor(trial: Trial): number[] {
  const versions = oldVersions();
  return isShort(trial) ? [0, trial.random.integer(firstVersion, versions.length - 1)] : versions;
}

/** Schema versions that somebody may come from; 0 is a database that is not there yet. */
function oldVersions(): number[] {
  return Array.from({ length: newestVersion() }, (_, version) => version);
}
