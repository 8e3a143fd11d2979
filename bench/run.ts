import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import type { Bench } from "./bench.ts";
import { measureSyncs, Workplace } from "./disk.ts";
import { GeneratorProcess } from "./generator-process.ts";
import { measureIntake } from "./intake-cases.ts";
import type { Table } from "./measurement.ts";
import { parseOptions, usage, UsageError, type Options, type Part } from "./options.ts";
import { describeProfiles } from "./profile.ts";
import { measurePush } from "./push-cases.ts";
import { measureReading } from "./reading-cases.ts";
import { printTable, printVerdicts, saveReport } from "./report.ts";
import { measureRetention } from "./retention-cases.ts";
import { SentMails } from "./sent-mails.ts";
import { measureSockets } from "./socket-cases.ts";
import { measureStart } from "./start-cases.ts";
import { judge } from "./targets.ts";

const resultDir = join(import.meta.dirname, "results");

const measurements: Record<Part, (bench: Bench) => Promise<Table[]>> = {
  intake: measureIntake,
  push: measurePush,
  reading: measureReading,
  sockets: measureSockets,
  retention: measureRetention,
  start: measureStart,
};

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function runBench(options: Options): Promise<void> {
  await using workplace = await Workplace.make(options.dir);
  if (options.keepDir !== null) await mkdir(options.keepDir, { recursive: true });
  await using generator = new GeneratorProcess();
  // The job in hand then fails, and everything is cleared away as after any other failure; a shell and npm both send it.
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => generator.end());
  const key = `mk_${randomBytes(32).toString("hex")}`;
  const bench: Bench = { options, workplace, generator, key, sent: new SentMails() };
  const facts = await describeMachine(bench);
  for (const [name, value] of Object.entries(facts)) say(`${name}: ${value}`);
  say("");
  const tables: Table[] = [];
  for (const part of options.parts) {
    for (const table of await measurements[part](bench)) {
      say(printTable(table));
      tables.push(table);
    }
  }
  const verdicts = judge(tables, options);
  say(printVerdicts(verdicts));
  if (options.profileDir !== null) say(await describeProfiles(options.profileDir));
  if (options.mode !== "smoke") say(`Saved as ${await saveReport({ facts, tables, verdicts }, resultDir)}`);
}

async function describeMachine({ options, workplace }: Bench): Promise<Record<string, string | number>> {
  const { fsync, fdatasync } = measureSyncs(workplace.path);
  const times = ({ p50, p99 }: typeof fsync): string => `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`;
  return {
    date: new Date().toISOString(),
    node: process.version,
    processors: `${cpus().length} x ${cpus()[0]?.model ?? "unknown"}`,
    "fsync of 4 KB": times(fsync),
    "fdatasync of 4 KB": times(fdatasync),
    mode: `${options.mode}: ${options.rounds} rounds of ${options.seconds} s each; medians are shown`,
    ...(options.profileDir === null ? {} : { profiled: "yes: numbers are lower" }),
  };
}

async function main(): Promise<number> {
  try {
    const options = parseOptions(process.argv.slice(2));
    if (options === null) say(usage);
    else await runBench(options);
    return 0;
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`${error.message}\n\n${usage}`);
      return 2;
    }
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    return 1;
  }
}

process.exitCode = await main();
