import { startServer, startUp, watched, type Bench } from "./bench.ts";
import { runRounds, syncCase, type Case, type Table } from "./measurement.ts";
import type { ServerProcess } from "./server-process.ts";

/** Lines of the report that targets are judged by. */
export const pushNames = { half: "50 % of peak", steady: "500 mails/s", sync: "one sync of 4 KB, push" } as const;

const mailBytes = 4_096;
const connections = 50;
const steadyRate = 500;
const manySubscribers = { subscribers: 1_000, mailsPerSecond: 20 };
/** Long enough for a peak, whatever the length of one measurement. */
const minPeakSeconds = 1.5;

/** Time from the final dot to the frame at a subscriber, at shares of our own peak and at a steady rate. */
export async function measurePush(bench: Bench): Promise<Table[]> {
  const { options } = bench;
  await using server = await startServer(bench, "push");
  await startUp(bench, server);
  const peak = await findPeak(bench, server);
  const at = (name: string, share: number): Case =>
    pushCase(bench, server, { name, mailsPerSecond: Math.max(1, Math.round(peak * share)) });
  const quick = [
    at(pushNames.half, 0.5),
    pushCase(bench, server, { name: pushNames.steady, mailsPerSecond: steadyRate }),
  ];
  // Mail that is followed is read as it comes, made JSON and framed: code that the start-up has not made warm.
  if (options.startUpSeconds > 0) await at("start-up", 0.5).run(options.startUpSeconds);
  const more = [
    at("25 % of peak", 0.25),
    at("75 % of peak", 0.75),
    pushCase(bench, server, { name: "1,000 subscribers of one mailbox", ...manySubscribers }),
  ];
  const cases = options.mode === "full" ? [...quick, ...more] : quick;
  const rows = await runRounds([...cases, syncCase(pushNames.sync, bench.workplace.path)], options);
  return [
    { title: "From the final dot to the frame at a subscriber", rows: rows.slice(0, -1) },
    { title: "The disk, between the measurements of push", rows: rows.slice(-1) },
  ];
}

async function findPeak({ generator, options, sent }: Bench, server: ServerProcess): Promise<number> {
  const job = {
    kind: "intake",
    target: server.smtp,
    recipients: [server.mailbox],
    connections,
    size: mailBytes,
  } as const;
  const seconds = options.mode === "smoke" ? options.seconds : Math.max(options.seconds, minPeakSeconds);
  const run = { ...job, kept: true, pipelined: false, token: sent.newToken(mailBytes) };
  const { mails, seconds: took } = await generator.run({ ...run, seconds });
  return mails / took;
}

interface PushShape {
  name: string;
  mailsPerSecond: number;
  subscribers?: number;
}

/** One open loop; `lost` and `misplaced` have to be 0. */
export function pushCase(
  { generator, key, sent }: Pick<Bench, "generator" | "key" | "sent">,
  server: ServerProcess,
  { name, mailsPerSecond, subscribers = 1 }: PushShape,
): Case {
  const smtp = { target: server.smtp, recipients: [server.mailbox], connections, size: mailBytes };
  const job = {
    ...smtp,
    kind: "push",
    websocket: `${server.websocket}?key=${key}`,
    subscribers,
    mailsPerSecond,
  } as const;
  return {
    name,
    run: async (seconds) => {
      const { result, cost } = await watched(server, () =>
        generator.run({ ...job, seconds, token: sent.newToken(mailBytes) }),
      );
      return {
        "mails/s": mailsPerSecond,
        "push p50 ms": result.pushMs.p50,
        "p99 ms": result.pushMs.p99,
        "p99.9 ms": result.pushMs.p999,
        "max ms": result.pushMs.max,
        "ack p50 ms": result.ackMs.p50,
        "ack p99 ms": result.ackMs.p99,
        "sender late p99 ms": result.lateMs.p99,
        lost: result.lost,
        misplaced: result.misplaced,
        ...cost("mail", result.sent),
      };
    },
  };
}
