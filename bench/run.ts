import { randomBytes } from "node:crypto";
import { cpus } from "node:os";
import { join } from "node:path";
import { intakeCases, listCases, pushCases, type Case } from "./cases.ts";
import { measureSync, Workplace } from "./disk.ts";
import { fillStore } from "./fill.ts";
import { GeneratorProcess } from "./generator-process.ts";
import { parseOptions, usage, UsageError, type Options, type Part } from "./options.ts";
import { describeProfiles } from "./profile.ts";
import { printTable, saveReport, type Row, type Table } from "./report.ts";
import { ServerProcess } from "./server-process.ts";

/** Mails in the store that the big one is compared with, and of the user that is scattered in the big one. */
const smallMails = 1000;
const warmUpSeconds = 2;

interface Bench {
  options: Options;
  workplace: Workplace;
  generator: GeneratorProcess;
  key: string;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function runBench(options: Options): Promise<void> {
  await using workplace = await Workplace.make(options.dir);
  await using generator = new GeneratorProcess();
  // The job in hand then fails, and everything is cleared away as after any other failure.
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => generator.end());
  const bench: Bench = { options, workplace, generator, key: `mk_${randomBytes(32).toString("hex")}` };
  const facts = await describeMachine(bench);
  for (const [name, value] of Object.entries(facts)) say(`${name}: ${value}`);
  say("");
  const tables: Table[] = [];
  for (const part of options.parts) {
    const table = await measurements[part](bench);
    say(printTable(table));
    tables.push(table);
  }
  if (options.profileDir !== null) say(await describeProfiles(options.profileDir));
  say(`Saved as ${await saveReport({ facts, tables }, join(import.meta.dirname, "results"))}`);
}

async function describeMachine({ options, workplace }: Bench): Promise<Record<string, string | number>> {
  const sync = await measureSync(workplace.path);
  return {
    date: new Date().toISOString(),
    node: process.version,
    processors: `${cpus().length} x ${cpus()[0]?.model ?? "unknown"}`,
    "sync of the disk": `p50 ${sync.p50.toFixed(2)} ms, p99 ${sync.p99.toFixed(2)} ms`,
    rounds: `${options.rounds} of ${options.seconds} s each; medians are shown`,
    ...(options.profileDir === null ? {} : { profiled: "yes: numbers are lower" }),
  };
}

const measurements: Record<Part, (bench: Bench) => Promise<Table>> = {
  async intake(bench) {
    await using server = await startServer(bench, "intake");
    const cases = intakeCases({ server, generator: bench.generator });
    return { title: "Durable mails, 4 KB, each answered after its sync", rows: await runRounds(cases, bench.options) };
  },

  async push(bench) {
    await using server = await startServer(bench, "push");
    const cases = pushCases({ server, generator: bench.generator }, bench.key);
    return { title: "From the final dot to the frame at a subscriber", rows: await runRounds(cases, bench.options) };
  },

  async list(bench) {
    const { generator, key, options } = bench;
    const stores = {
      small: { dataDir: dataDir(bench, "small"), key, mails: smallMails, scatteredMails: 0 },
      big: { dataDir: dataDir(bench, "big"), key, mails: options.mails, scatteredMails: smallMails },
    };
    const small = await fillStore(stores.small);
    const big = await fillStore(stores.big);
    say(`Stored ${big.mails} mails in ${big.seconds.toFixed(1)} s, past SMTP and parsing\n`);
    await using smallServer = await startServer(bench, "small");
    await using bigServer = await startServer(bench, "big");
    const cases = listCases(
      { server: smallServer, generator, store: small },
      { server: bigServer, generator, store: big },
    );
    return { title: "List requests, 50 mails a page", rows: await runRounds(cases, options) };
  },
};

/** Takes turns, so that a disturbance of the machine falls on all alike; everything runs once before it counts. */
async function runRounds(cases: readonly Case[], { rounds, seconds }: Options): Promise<Row[]> {
  const rows = cases.map(({ name }) => ({ name, rounds: [] as Awaited<ReturnType<Case["run"]>>[] }));
  for (const one of cases) await one.run(Math.min(warmUpSeconds, seconds));
  for (let round = 0; round < rounds; round++) {
    for (const [index, one] of cases.entries()) rows[index]?.rounds.push(await one.run(seconds));
  }
  return rows;
}

function startServer(bench: Bench, name: string): Promise<ServerProcess> {
  return ServerProcess.start({
    dataDir: dataDir(bench, name),
    key: bench.key,
    profileDir: bench.options.profileDir,
  });
}

function dataDir({ workplace }: Bench, name: string): string {
  return join(workplace.path, name);
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
