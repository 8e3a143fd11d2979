import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startServerOn, watched, type Bench } from "./bench.ts";
import { fillStore } from "./fill.ts";
import { GeneratorProcess } from "./generator-process.ts";
import { runRounds, type Case, type Figures, type Table } from "./measurement.ts";
import { pushCase } from "./push-cases.ts";
import { fillForReading } from "./reading-cases.ts";
import type { ServerProcess } from "./server-process.ts";

/** Lines of the report that targets are judged by. */
export const socketNames = { idle: "idle WebSockets" } as const;

const warmSockets = 100;
const settleMs = 1_000;
const storm = { sockets: 5_000, frames: 20 };
const beside = { name: "500 mails/s beside idle WebSockets", mailsPerSecond: 500 };

/** Memory of idle subscribers; in full also a push beside them, and a storm of subscribers that come back. */
export async function measureSockets(bench: Bench): Promise<Table[]> {
  const { options } = bench;
  const tables: Table[] = [];
  {
    // Of another user than the one that gets mail: they are idle.
    const dataDir = join(bench.workplace.path, "sockets");
    const { scattered, ...store } = await fillStore({ dataDir, key: bench.key, mails: 1, scatteredMails: 1 });
    await using server = await startServerOn(bench, store);
    await using holder = new GeneratorProcess();
    const websocket = `${server.websocket}?key=${scattered?.key ?? ""}`;
    const figures = await idleFigures(bench, server, { holder, websocket });
    tables.push({ title: "Subscribers that only listen", rows: [{ name: socketNames.idle, rounds: [figures] }] });
    if (options.mode === "full") {
      const rows = await runRounds([pushCase(bench, server, beside)], options);
      tables.push({ title: `Push beside ${options.sockets} idle subscribers`, rows });
    }
  }
  if (options.mode === "full") tables.push(await measureStorm(bench));
  return tables;
}

async function idleFigures(
  { options }: Bench,
  server: ServerProcess,
  { holder, websocket }: { holder: GeneratorProcess; websocket: string },
): Promise<Figures> {
  const job = { kind: "hold", websocket } as const;
  // What the first sockets make the server load is not what one more costs.
  await holder.run({ ...job, sockets: Math.min(warmSockets, options.sockets) });
  const waitMs = options.mode === "smoke" ? 0 : settleMs;
  await delay(waitMs);
  const before = await server.process.usage();
  const { result, cost } = await watched(server, () => holder.run({ ...job, sockets: options.sockets }));
  await delay(waitMs);
  const after = await server.process.usage();
  return {
    sockets: options.sockets,
    "KiB each": (after.residentBytes - before.residentBytes) / options.sockets / 1024,
    "opened/s": options.sockets / result.seconds,
    ...cost("socket", options.sockets),
  };
}

/** 5,000 come back within a second, each with 20 mails to catch up on. */
async function measureStorm(bench: Bench): Promise<Table> {
  const [mails = 0] = bench.options.storeSizes;
  const store = await fillForReading(bench, mails);
  await using server = await startServerOn(bench, store);
  const last = await lastId(server, store);
  const websocket = `${server.websocket}?key=${store.key}&since=${last - storm.frames}`;
  const run: Case["run"] = async () => {
    const { result, cost } = await watched(server, () => bench.generator.run({ kind: "storm", websocket, ...storm }));
    return {
      "open p50 ms": result.openMs.p50,
      "open p99 ms": result.openMs.p99,
      "caught up p50 ms": result.caughtUpMs.p50,
      "caught up p99 ms": result.caughtUpMs.p99,
      "all after s": result.seconds,
      lost: result.lost,
      ...cost("socket", storm.sockets),
    };
  };
  const name = `${storm.sockets} WebSockets in a second, ${storm.frames} mails of 1 KB each`;
  return { title: "Subscribers that come back at once", rows: await runRounds([{ name, run }], bench.options) };
}

async function lastId({ origin }: ServerProcess, { address, key }: { address: string; key: string }): Promise<number> {
  const query = new URLSearchParams({ type: "getmails", mail: address, key, limit: "1" });
  const { data } = (await (await fetch(`${origin}/api?${query.toString()}`)).json()) as { data: { id: number }[] };
  const id = data[0]?.id;
  if (id === undefined) throw new Error("The store is empty");
  return id;
}
