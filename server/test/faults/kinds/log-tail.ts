import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../../support/random.ts";
import { diskCalls, readDiskRecord, type DiskEvent } from "../disk-record.ts";
import type { Fault, Trial } from "../fault.ts";
import { addFindings, describeFindings, noFindings, type Findings } from "../findings.ts";
import { readLedger } from "../ledger.ts";
import { Rig } from "../rig.ts";
import { canTrace, straceCommand, traceEnded } from "../strace-file.ts";

const log = "catmails.db-wal";
const cutsPerKill = 4;
const patienceMs = 60_000;

/** The end of the write-ahead log, as far as no sync covered it, is cut off or holds something else. */
export const logTail: Fault = {
  name: "log-tail",
  about: "after a kill the log is cut, or full of rubbish, from a random point past its last sync on",
  obstacle: () => (canTrace() ? null : "strace is not installed, or may not trace here"),
  times: (cycles) => Math.max(1, Math.round(cycles / 10)),
  inflict: (trial) => cutTails(trial, pastTheLastSync),
  control: {
    about: "the log is cut before its last sync",
    inflict: (trial) => cutTails({ ...trial, times: 1 }, beforeTheLastSync),
  },
};

/** Where to cut a log of so many bytes of which a sync covers the first so many. */
type PickCut = (random: Random, syncedBytes: number, bytes: number) => number;

const pastTheLastSync: PickCut = (random, syncedBytes, bytes) => random.integer(syncedBytes, bytes);
const beforeTheLastSync: PickCut = (random, syncedBytes) => random.integer(0, syncedBytes >> 1);

async function cutTails(trial: Trial, pick: PickCut): Promise<Findings> {
  const sum = noFindings();
  for (let done = 0; done < trial.times && !trial.signal.aborted; done += cutsPerKill) {
    await using rig = await Rig.make(trial);
    const killed = rig.path("killed");
    const syncedBytes = await killTraced(rig, killed);
    const whole = readFileSync(join(killed, log));
    const entries = readLedger(rig.ledger.path);
    for (let cut = done; cut < Math.min(done + cutsPerKill, trial.times) && !trial.signal.aborted; cut++) {
      const at = pick(rig.random, syncedBytes, whole.length);
      const isRubbish = cut % 2 === 1 && at >= syncedBytes;
      const dataDir = rig.path("cut");
      rmSync(dataDir, { recursive: true, force: true });
      mkdirSync(dataDir, { mode: 0o700 });
      for (const name of readdirSync(killed).filter((one) => /^catmails\.db(?:-wal|-raw-\d+)?$/.test(one))) {
        copyFileSync(join(killed, name), join(dataDir, name));
      }
      truncateSync(join(dataDir, log), at);
      if (isRubbish) writeFileSync(join(dataDir, log), rubbish(rig.random, whole.length - at), { flag: "a" });
      const findings = await rig.judgeCopy(dataDir, entries);
      const what = `${isRubbish ? "rubbish" : "cut"} from ${at} of ${whole.length} on, ${syncedBytes} synced`;
      trial.say(`log tail ${cut + 1} of ${trial.times}: ${what}; ${describeFindings(findings)}`);
      addFindings(sum, { ...findings, times: 1 });
    }
  }
  return sum;
}

/** Kills a traced server under load, copies its files, and answers how many bytes of its log a completed sync covers. */
async function killTraced(rig: Rig, copy: string): Promise<number> {
  const trace = rig.path("trace");
  await using service = await rig.serve({ under: straceCommand(diskCalls, trace) });
  const load = rig.load(service);
  // Less than would make the server start its log anew: then positions in the file are moments.
  const goal = rig.random.integer(100, 350);
  await load.reaches(({ acknowledged }) => acknowledged >= goal, patienceMs);
  // Any moment between two syncs, so that something lies behind the last one.
  await delay(rig.random.integer(0, 25));
  await rig.kill(service, load);
  await traceEnded(trace, service.pid);
  rig.ledger.sync();
  cpSync(rig.dataDir, copy, { recursive: true });
  return syncedLength(await readDiskRecord(trace, rig.dataDir));
}

function syncedLength(events: readonly DiskEvent[]): number {
  const ofLog = events.filter((event) => event.kind !== "reply" && event.file === log);
  const sync = ofLog.findLast(({ kind, endedAt }) => kind === "sync" && Number.isFinite(endedAt));
  const ends = ofLog.map((event) =>
    event.kind === "write" && event.endedAt < (sync?.startedAt ?? 0) ? event.offset + event.bytes.length : 0,
  );
  return ends.reduce((longest, end) => Math.max(longest, end), 0);
}

function rubbish(random: Random, bytes: number): Buffer {
  return Buffer.from(Array.from({ length: bytes }, () => random.integer(0, 255)));
}
