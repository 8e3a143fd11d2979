import { join } from "node:path";
import { startServerOn, watched, type Bench } from "./bench.ts";
import { fillStore, type FilledStore } from "./fill.ts";
import { GeneratorProcess } from "./generator-process.ts";
import { runRounds, type Case, type Table } from "./measurement.ts";
import type { ServerProcess } from "./server-process.ts";

const connections = 4;
const arrivalRate = 1_000;
/** As those that are stored, so that pages stay what they are. */
const arrivalBytes = 1_024;
/** Paths of single mails, spread over all. */
const singleMails = 1_000;
/** Mails of the user that is scattered among the others'. */
const scatteredMails = 1_000;

/** A line of the report; targets are judged by some of them. */
export function readingName(what: "newest 20" | "newest 50" | "middle 20" | "one mail", mails: number): string {
  return `${what}, ${mails} stored`;
}

interface Filled {
  store: FilledStore;
  server: ServerProcess;
}

/** Reads per second and their times, on stores of every size of the options. */
export async function measureReading(bench: Bench): Promise<Table[]> {
  const { options } = bench;
  await using servers = new AsyncDisposableStack();
  const filled: Filled[] = [];
  for (const mails of options.storeSizes) {
    const store = await fillForReading(bench, mails);
    filled.push({ store, server: servers.use(await startServerOn(bench, store)) });
  }
  const cases = filled.flatMap((one) => readingCases(bench, one));
  const alone = { title: "Reading: 4 connections, closed loop", rows: await runRounds(cases, options) };
  if (options.mode !== "full") return [alone];
  await using sender = new GeneratorProcess();
  const busy = filled.flatMap((one) => busyCases(bench, one, sender));
  return [alone, { title: `Reading while ${arrivalRate} mails a second arrive`, rows: await runRounds(busy, options) }];
}

/** The store of so many mails, kept from an earlier run where the options say so. */
export async function fillForReading(bench: Bench, mails: number): Promise<FilledStore> {
  const { options, workplace, key } = bench;
  const dataDir = join(options.keepDir ?? workplace.path, `filled-${mails}`);
  const store = await fillStore({ dataDir, key, mails, scatteredMails: Math.min(scatteredMails, mails) });
  if (store.seconds > 0) process.stdout.write(`Filled in ${mails} mails in ${store.seconds.toFixed(1)} s\n`);
  return store;
}

function readingCases(bench: Bench, { server, store }: Filled): Case[] {
  const { mails, address, key, scattered } = store;
  const list = (limit: number, more: Record<string, string> = {}): string =>
    listPath({ mail: address, key, limit, ...more });
  const before = String(Math.ceil(mails / 2));
  const step = Math.max(1, Math.floor(mails / singleMails));
  const ids = Array.from({ length: Math.min(singleMails, mails) }, (_, index) => 1 + index * step);
  const quick = [
    readingCase(bench, server, { name: readingName("newest 20", mails), paths: [list(20)] }),
    readingCase(bench, server, { name: readingName("middle 20", mails), paths: [list(20, { before })] }),
    readingCase(bench, server, {
      name: readingName("one mail", mails),
      paths: ids.map((id) => `/v1/mails/${id}?${new URLSearchParams({ key }).toString()}`),
    }),
  ];
  if (bench.options.mode !== "full" || scattered === null) return quick;
  const scatteredPath = listPath({ mail: scattered.address, key: scattered.key, limit: 20 });
  return [
    ...quick,
    readingCase(bench, server, { name: readingName("newest 50", mails), paths: [list(50)] }),
    readingCase(bench, server, { name: `20 of a mailbox scattered among ${mails}`, paths: [scatteredPath] }),
  ];
}

/** The same reads, with mails of the same size for the same mailbox coming in beside them. */
function busyCases(bench: Bench, filled: Filled, sender: GeneratorProcess): Case[] {
  const { server } = filled;
  const smtp = { target: server.smtp, recipients: [filled.store.address], connections: 50, size: arrivalBytes };
  const push = {
    ...smtp,
    kind: "push",
    websocket: server.websocket,
    subscribers: 0,
    mailsPerSecond: arrivalRate,
  } as const;
  return readingCases(bench, filled).map((one) => ({
    name: one.name,
    run: async (seconds) => {
      const arriving = sender.run({ ...push, seconds: Math.ceil(seconds), token: bench.sent.newToken(arrivalBytes) });
      const [figures, { ackMs }] = await Promise.all([one.run(seconds), arriving]);
      return { ...figures, "mail ack p50 ms": ackMs.p50, "mail ack p99 ms": ackMs.p99 };
    },
  }));
}

function listPath(parameters: Record<string, string | number>): string {
  const query = new URLSearchParams({ type: "getmails" });
  for (const [name, value] of Object.entries(parameters)) query.set(name, String(value));
  return `/api?${query.toString()}`;
}

function readingCase(bench: Bench, server: ServerProcess, { name, paths }: { name: string; paths: string[] }): Case {
  const job = { kind: "reading", origin: server.origin, paths, connections } as const;
  return {
    name,
    run: async (seconds) => {
      await checkList(server, paths[0] ?? "");
      const { result, cost } = await watched(server, () => bench.generator.run({ ...job, seconds }));
      return {
        "requests/s": result.requests / result.seconds,
        "p50 ms": result.responseMs.p50,
        "p99 ms": result.responseMs.p99,
        "KiB/answer": result.bytes / result.requests / 1024,
        ...cost("request", result.requests),
        "generator µs/request": (result.cpuSeconds * 1e6) / result.requests,
      };
    },
  };
}

/** A page that is not full would be fast. */
async function checkList({ origin }: ServerProcess, path: string): Promise<void> {
  const limit = new URL(path, origin).searchParams.get("limit");
  if (limit === null) return;
  const text = await (await fetch(`${origin}${path}`)).text();
  const { count } = JSON.parse(text) as { count?: number };
  if (count !== Number(limit)) throw new Error(`Expected ${limit} mails, got: ${text.slice(0, 200)}`);
}
