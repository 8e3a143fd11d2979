import { join } from "node:path";
import type { Workplace } from "./disk.ts";
import type { GeneratorProcess } from "./generator-process.ts";
import type { Options } from "./options.ts";
import type { SentMails } from "./sent-mails.ts";
import { ServerProcess, type ServerOptions } from "./server-process.ts";

/** What every part of a run has at hand. */
export interface Bench {
  options: Options;
  workplace: Workplace;
  generator: GeneratorProcess;
  /** API key of the main user of every store that is made. */
  key: string;
  /** What was acknowledged, to be looked for in the store. */
  sent: SentMails;
}

/** Starts the server on a data directory in the workplace. */
export function startServer(
  bench: Bench,
  name: string,
  more: Partial<Pick<ServerOptions, "env" | "what">> = {},
): Promise<ServerProcess> {
  return startServerOn(bench, { dataDir: join(bench.workplace.path, name), key: bench.key }, more);
}

/** Starts the server on a data directory anywhere, which may have a key of its own. */
export function startServerOn(
  bench: Bench,
  { dataDir, key }: { dataDir: string; key: string },
  more: Partial<Pick<ServerOptions, "env" | "what">> = {},
): Promise<ServerProcess> {
  return ServerProcess.start({ dataDir, key, profileDir: bench.options.profileDir, ...more });
}

const startUpBytes = 4_096;

/** Loads a server with mails until its code is compiled well; they are noted as sent where its store is verified. */
export async function startUp(bench: Bench, server: ServerProcess, isVerified = false): Promise<void> {
  const { generator, options, sent } = bench;
  const seconds = options.startUpSeconds;
  if (seconds === 0) return;
  const job = { kind: "intake", target: server.smtp, recipients: [server.mailbox], size: startUpBytes } as const;
  const token = sent.newToken(startUpBytes);
  const { mails, failed } = await generator.run({
    ...job,
    connections: 50,
    kept: true,
    pipelined: false,
    seconds,
    token,
  });
  if (isVerified) sent.note(token, { acknowledged: mails, failed });
}

const mebibyte = 1024 ** 2;

/** Runs one measurement and answers what it cost a process: processor time by unit of work, memory now and at its peak. */
export async function watched<Result>(
  server: Pick<ServerProcess, "process">,
  run: () => Promise<Result>,
): Promise<{ result: Result; cost: (unit: string, count: number) => Record<string, number> }> {
  await server.process.forgetPeak();
  const before = await server.process.usage();
  const result = await run();
  const after = await server.process.usage();
  const cost = (unit: string, count: number): Record<string, number> => ({
    [`CPU µs/${unit}`]: ((after.cpuSeconds - before.cpuSeconds) * 1e6) / Math.max(1, count),
    "RSS MiB": after.residentBytes / mebibyte,
    "peak MiB": after.peakBytes / mebibyte,
  });
  return { result, cost };
}
