import { readFile } from "node:fs/promises";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { measureSyncs, Workplace } from "../disk.ts";
import { median } from "../distribution.ts";
import { GeneratorProcess } from "../generator-process.ts";
import { UsageError } from "../options.ts";
import { catmails } from "./kinds/catmails.ts";
import { parsePeersOptions, usageOf, type Names, type PeersOptions } from "./options.ts";
import { NotMeasured } from "./not-measured.ts";
import type { Peer, PreparedPeer } from "./peer.ts";
import { peers } from "./peers.ts";
import { writeReport } from "./report.ts";
import { readResults, saveResult, type PeerFacts, type PeersResult, type Sample } from "./result.ts";
import { runAudit, runRound, type Workbench } from "./round.ts";
import { summaryOf } from "./summary.ts";
import { sittings } from "./workload.ts";

/** Stands among the workloads, though it has no figures. */
const auditName = "audit";
const resultsDir = join(import.meta.dirname, "../results");
const names: Names = {
  peers: peers.map(({ name }) => name),
  workloads: [auditName, ...sittings.flatMap(({ workloads }) => workloads.map(({ name }) => name))],
};

/** A peer in a run: what is known of it, and how to start it as long as it did not fail. */
interface Entry {
  peer: Peer;
  prepared: PreparedPeer | null;
  facts: PeerFacts;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function runPeers(options: PeersOptions): Promise<PeersResult> {
  const abort = new AbortController();
  await using workplace = await Workplace.make(options.dir);
  await using generator = new GeneratorProcess();
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, () => {
      abort.abort(new Error("Interrupted"));
      // The job in hand then fails, and everything is ended and cleared away as after any other failure.
      generator.end();
    });
  }
  const { seconds, workloads } = options;
  const bench: Workbench = { generator, dir: workplace.path, seconds, workloads, signal: abort.signal };
  const facts = await describeRun(options);
  for (const [name, value] of Object.entries(facts)) say(`${name}: ${value}`);
  const entries: Entry[] = [];
  for (const peer of [catmails, ...peers.filter(({ name }) => options.only.has(name))]) {
    entries.push(await prepare(peer, options, abort.signal));
  }
  for (const entry of entries) await audit(entry, bench);
  const { samples, syncMs } = await runRounds(entries, bench, options.rounds);
  facts["Sync of the disk"] = `${syncMs.toFixed(2)} ms`;
  return { command: options.command, facts, syncMs, peers: entries.map((entry) => entry.facts), samples };
}

async function prepare(peer: Peer, { peersDir }: PeersOptions, signal: AbortSignal): Promise<Entry> {
  const { name, title, settings, storage, keeps, isDurable } = peer;
  const facts = { name, title, settings, storage, keeps, isDurable, version: null, fault: null, audit: null };
  try {
    const prepared = await peer.prepare({ peersDir, signal });
    say(`${title}: ${prepared.version}`);
    return { peer, prepared, facts: { ...facts, version: prepared.version } };
  } catch (error) {
    signal.throwIfAborted();
    return { peer, prepared: null, facts: { ...facts, fault: faultOf(title, error) } };
  }
}

/** Without a tracer a peer is measured all the same; the report then says so. One that fails here would fail again. */
async function audit(entry: Entry, bench: Workbench): Promise<void> {
  if (entry.prepared === null || !bench.workloads.has(auditName)) return;
  try {
    entry.facts = { ...entry.facts, audit: await runAudit(bench, entry.prepared) };
    say(`${entry.facts.title}: ${JSON.stringify(entry.facts.audit)}`);
  } catch (error) {
    bench.signal.throwIfAborted();
    entry.facts = { ...entry.facts, fault: faultOf(entry.facts.title, error) };
    if (!(error instanceof NotMeasured)) entry.prepared = null;
  }
}

/** In turns, so that a disturbance of the machine falls on all alike; each round begins with another. */
async function runRounds(
  entries: readonly Entry[],
  bench: Workbench,
  rounds: number,
): Promise<Pick<PeersResult, "samples" | "syncMs">> {
  const samples: Sample[] = [];
  const syncsMs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const first = round % entries.length;
    syncsMs.push(measureSyncs(bench.dir).fdatasync.p50);
    for (const entry of [...entries.slice(first), ...entries.slice(0, first)]) {
      if (entry.prepared === null) continue;
      try {
        await runRound(bench, entry.prepared, (workload, figures) => {
          samples.push({ round, peer: entry.peer.name, workload, figures });
          say(`  ${round + 1}  ${entry.facts.title}, ${workload}: ${lineOf(figures)}`);
        });
      } catch (error) {
        bench.signal.throwIfAborted();
        entry.facts = { ...entry.facts, fault: faultOf(entry.facts.title, error) };
        entry.prepared = null;
      }
    }
  }
  return { samples, syncMs: median(syncsMs) };
}

function faultOf(title: string, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  say(`${title}: ${error instanceof NotMeasured ? "not measured" : "FAILED"}: ${message}`);
  return message;
}

function lineOf(figures: Readonly<Record<string, number>>): string {
  return Object.entries(figures)
    .map(([name, value]) => `${value >= 100 ? Math.round(value) : Number(value.toPrecision(3))} ${name}`)
    .join(", ");
}

async function describeRun({ rounds, seconds }: PeersOptions): Promise<Record<string, string>> {
  const os = await readFile("/etc/os-release", "utf8").catch(() => "");
  return {
    Date: new Date().toISOString().slice(0, 10),
    Processors: `${cpus().length} x ${cpus()[0]?.model ?? "unknown"}`,
    Memory: `${(totalmem() / 1024 ** 3).toFixed(0)} GiB`,
    System: `${/^PRETTY_NAME="(.*)"$/m.exec(os)?.[1] ?? process.platform}, Linux ${release()}`,
    Node: process.version,
    Rounds: `${rounds} of ${seconds} s each`,
  };
}

async function main(): Promise<number> {
  try {
    const options = parsePeersOptions(process.argv.slice(2), names);
    if (options === null) {
      say(usageOf(names));
      return 0;
    }
    const result = options.from === null ? await runPeers(options) : await readResults(options.from);
    say(summaryOf(result));
    if (options.from === null) say(`Saved as ${await saveResult(result, resultsDir)}`);
    if (options.reportDir !== null) say(`Written: ${await writeReport(result, options.reportDir)}`);
    return 0;
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`${error.message}\n\n${usageOf(names)}`);
      return 2;
    }
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    return 1;
  }
}

process.exitCode = await main();
