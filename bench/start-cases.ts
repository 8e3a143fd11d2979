import { setTimeout as delay } from "node:timers/promises";
import { startServerOn, type Bench } from "./bench.ts";
import type { FilledStore } from "./fill.ts";
import { runRounds, type Case, type Figures, type Table } from "./measurement.ts";
import { fillForReading } from "./reading-cases.ts";
import type { ServerProcess } from "./server-process.ts";

const connections = 50;
const mailBytes = 4_096;
const loadSeconds = 1;
const idleMs = 2_000;
const pollMs = 2;

/** A line of the report; targets are judged by some of them. */
export function startName(what: "after a clean stop" | "after kill -9", mails: number): string {
  return `${mails <= 1 ? "empty store" : `${mails} mails stored`}, ${what}`;
}

/**
 * From the start of the process until `/readyz` says ready, with the compile cache of an earlier start, and the memory of the
 * server when nothing happens, on the biggest store after a clean stop; in full also after a kill under load, and on an empty store.
 */
export async function measureStart(bench: Bench): Promise<Table[]> {
  const { mode, storeSizes } = bench.options;
  const big = await fillForReading(bench, Math.max(...storeSizes));
  // The first start of all fills the compile cache.
  if (mode !== "smoke") await (await startServerOn(bench, big))[Symbol.asyncDispose]();
  const cases = [cleanCase(bench, big)];
  if (mode !== "quick") cases.push(killedCase(bench, big));
  if (mode === "full") {
    const empty = await fillForReading(bench, 1);
    cases.push(cleanCase(bench, empty), killedCase(bench, empty));
  }
  return [
    { title: "Cold start and idle memory", rows: await runRounds(cases, { ...bench.options, warmUpSeconds: 0 }) },
  ];
}

function cleanCase(bench: Bench, store: FilledStore): Case {
  return {
    name: startName("after a clean stop", store.mails),
    run: async () => {
      await using started = await startTimed(bench, store);
      return { "ready ms": started.readyMs, ...(await idleFigures(bench, started.server)) };
    },
  };
}

function killedCase(bench: Bench, store: FilledStore): Case {
  return {
    name: startName("after kill -9", store.mails),
    run: async () => {
      await killUnderLoad(bench, store);
      await using started = await startTimed(bench, store);
      return { "ready ms": started.readyMs, ...(await idleFigures(bench, started.server)) };
    },
  };
}

async function startTimed(bench: Bench, store: FilledStore) {
  const startMs = performance.now();
  const server = await startServerOn(bench, store);
  while (!(await fetch(`${server.origin}/readyz`)).ok) await delay(pollMs);
  const readyMs = performance.now() - startMs;
  return { server, readyMs, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

async function idleFigures({ options }: Bench, server: ServerProcess): Promise<Figures> {
  await delay(options.mode === "smoke" ? 0 : idleMs);
  const { residentBytes, peakBytes } = await server.process.usage();
  return { "idle MiB": residentBytes / 1024 ** 2, "peak MiB": peakBytes / 1024 ** 2 };
}

async function killUnderLoad({ generator, sent, options, ...bench }: Bench, store: FilledStore): Promise<void> {
  await using server = await startServerOn({ generator, sent, options, ...bench }, store);
  const job = { kind: "intake", target: server.smtp, recipients: [server.mailbox], size: mailBytes } as const;
  const shape = { connections, kept: true, pipelined: false, seconds: loadSeconds + 1 };
  const loading = generator.run({ ...job, ...shape, token: sent.newToken(mailBytes) });
  const ended = loading.then(
    () => undefined,
    () => undefined,
  );
  await delay(options.mode === "smoke" ? 100 : loadSeconds * 1000);
  await server.process.kill();
  await ended;
}
