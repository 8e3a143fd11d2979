import { join } from "node:path";
import { startServer, startUp, watched, type Bench } from "./bench.ts";
import type { IntakeJob } from "./intake-load.ts";
import { makeMailboxes } from "./mailboxes.ts";
import { runRounds, syncCase, type Case, type Table } from "./measurement.ts";
import type { MailSize } from "./sample-mail.ts";
import type { ServerProcess } from "./server-process.ts";
import { SinkProcess } from "./sink-process.ts";

/** Lines of the report that targets are judged by. */
export const intakeNames = {
  kept4: "4 KB, 50 kept",
  kept10: "10 KB, 50 kept",
  each: "4 KB, 10 a mail each",
  mix: "mix, 50 kept",
  alone: "4 KB, 1 kept",
  discard: "our SMTP engine, discarding: 4 KB, 50 kept",
  sync: "one sync of 4 KB",
} as const;

/** The same load on `smtp-sink`. */
export function onSink(name: string): string {
  return `smtp-sink: ${name}`;
}

interface Shape {
  name: string;
  connections: number;
  size?: MailSize;
  kept?: boolean;
  pipelined?: boolean;
  recipients?: readonly string[];
}

const judged = [
  { name: intakeNames.kept4, connections: 50 },
  { name: intakeNames.kept10, connections: 50, size: 10_240 },
  { name: intakeNames.each, connections: 10, kept: false },
] as const satisfies Shape[];

const quick: readonly Shape[] = [
  ...judged,
  { name: intakeNames.mix, connections: 50, size: "mix" },
  { name: intakeNames.alone, connections: 1 },
];

const full: readonly Shape[] = [
  ...quick,
  { name: "4 KB, 50 kept, pipelined", connections: 50, pipelined: true },
  { name: "4 KB, 50 a mail each", connections: 50, kept: false },
  { name: "4 KB, 10 kept", connections: 10 },
  { name: "4 KB, 500 kept", connections: 500 },
  { name: "1 KB, 50 kept", connections: 50, size: 1_024 },
  { name: "100 KB, 50 kept", connections: 50, size: 102_400 },
];

const defaultBytes = 4_096;

/**
 * Durable mails per second: ours, our SMTP engine alone, and `smtp-sink` where it is, with syncs of the disk between.
 * Everything that was acknowledged is looked for in the store at the end.
 */
export async function measureIntake(bench: Bench): Promise<Table[]> {
  const { workplace, options } = bench;
  const name = "intake";
  const dataDir = join(workplace.path, name);
  const manyMailboxes = options.mode === "full" ? await manyRecipients(dataDir, bench.key) : [];
  const { rows, counts } = await measureServers(bench, name, manyMailboxes);
  process.stdout.write(`${await bench.sent.verify(dataDir)}\n\n`);
  return [
    { title: "Durable mails, each answered after its sync", rows: rows.slice(0, counts.ours) },
    { title: "The same load where nothing is kept", rows: rows.slice(counts.ours, -1) },
    { title: "The disk, between the measurements", rows: rows.slice(-1) },
  ];
}

async function measureServers(bench: Bench, name: string, more: readonly Shape[]) {
  const { workplace, options } = bench;
  await using server = await startServer(bench, name);
  await using discarding = await startServer(bench, "discard", { what: "discard" });
  await using sink = await SinkProcess.start(workplace.path);
  await startUp(bench, server, true);
  await startUp(bench, discarding);
  const shapes = [...(options.mode === "full" ? full : quick), ...more];
  const ours = shapes.map((shape) => intakeCase(bench, { server, recipient: server.mailbox, isKept: true }, shape));
  const cases = [
    ...ours,
    intakeCase(
      bench,
      { server: discarding, recipient: discarding.mailbox, isKept: false },
      { ...judged[0], name: intakeNames.discard },
    ),
    ...(sink === null
      ? []
      : judged.map((shape) =>
          intakeCase(
            bench,
            { server: sink, recipient: "anybody@example.com", isKept: false },
            { ...shape, name: onSink(shape.name) },
          ),
        )),
    syncCase(intakeNames.sync, workplace.path),
  ];
  return { rows: await runRounds(cases, options), counts: { ours: ours.length } };
}

/** Mails over so many mailboxes, in turns. */
async function manyRecipients(dataDir: string, key: string): Promise<Shape[]> {
  const recipients = await makeMailboxes({ dataDir, key, mailboxes: 100_000 });
  return [
    { name: "4 KB, 50 kept, 1,000 mailboxes", connections: 50, recipients: recipients.slice(0, 1_000) },
    { name: "4 KB, 50 kept, 100,000 mailboxes", connections: 50, recipients },
  ];
}

interface Loaded {
  server: Pick<ServerProcess, "process" | "smtp">;
  recipient: string;
  /** Its mails are looked for in the store at the end. */
  isKept: boolean;
}

function intakeCase(bench: Bench, { server, recipient, isKept }: Loaded, shape: Shape): Case {
  const { size = defaultBytes, recipients = [recipient], connections, kept = true, pipelined = false } = shape;
  const job = { kind: "intake", target: server.smtp, recipients, connections, kept, pipelined, size } as const;
  return {
    name: shape.name,
    run: async (seconds) => {
      const token = bench.sent.newToken(size);
      const run: IntakeJob = { ...job, seconds, token };
      const { result, cost } = await watched(server, () => bench.generator.run(run));
      if (isKept) bench.sent.note(token, { acknowledged: result.mails, failed: result.failed });
      return {
        "mails/s": result.mails / result.seconds,
        "ack p50 ms": result.ackMs.p50,
        "ack p99 ms": result.ackMs.p99,
        failed: result.failed,
        ...cost("mail", result.mails),
        "generator µs/mail": (result.cpuSeconds * 1e6) / Math.max(1, result.mails),
      };
    },
  };
}
