import { randomBytes } from "node:crypto";
import type { GeneratorProcess } from "../generator-process.ts";
import type { MailSize } from "../sample-mail.ts";
import type { RunningPeer } from "./peer.ts";

/** Headings of the figures. */
export const heading = {
  mailsPerSecond: "mails/s",
  requestsPerSecond: "requests/s",
  ackP50: "ack p50 ms",
  ackP99: "ack p99 ms",
  pushP50: "push p50 ms",
  pushP99: "push p99 ms",
  pushP999: "push p99.9 ms",
  cpu: "CPU s/1,000",
  generatorCpu: "generator CPU s/1,000",
  peak: "peak MiB",
  failed: "failed",
  lost: "lost",
} as const;

export type Figures = Record<string, number>;

/** One thing that is measured on every peer that can do it. */
export interface Workload {
  name: string;
  title: string;
  /** The figure that is compared. */
  main: string;
  /** Whether more of it is better. */
  isRate: boolean;
  /** Whether this peer can do what it asks. */
  suits(running: RunningPeer): boolean;
  run(rig: Rig, seconds: number): Promise<Figures>;
}

/** What a workload runs on. */
export interface Rig {
  running: RunningPeer;
  generator: GeneratorProcess;
  recipients: readonly string[];
}

interface IntakeShape {
  connections: number;
  kept: boolean;
  size: MailSize;
}

const smallBytes = 4096;
const tinyBytes = 1024;
const mediumBytes = 10_240;
const pushConnections = 50;
const pushRate = 500;
const listConnections = 4;
const listMails = 20;
/** What the list is taken from, and how fast that comes in: every peer that has a list keeps up with it. */
const listedMails = 10_000;
const fillRate = 1_000;

const warmUp = intake("warm-up", "Warm-up", { connections: 50, kept: true, size: smallBytes });

/** What a peer does one after another from one start on, with nothing stored at first; the warm-up is not counted. */
export interface Sitting {
  warmUp: Workload | null;
  workloads: readonly Workload[];
}

/** Everything that is measured. What leaves most behind comes last. */
export const sittings: readonly Sitting[] = [
  {
    warmUp,
    workloads: [
      intake("4k-50", "4 KB, 50 connections kept", { connections: 50, kept: true, size: smallBytes }),
      intake("10k-50", "10 KB, 50 connections kept", { connections: 50, kept: true, size: mediumBytes }),
      intake("4k-each-10", "4 KB, 10 connections, one mail each", { connections: 10, kept: false, size: smallBytes }),
      intake("4k-1", "4 KB, one connection, one mail in flight", { connections: 1, kept: true, size: smallBytes }),
      push("push-500", `Final dot to WebSocket, ${pushRate} mails a second`),
      intake("mix-50", "The mix, 50 connections kept", { connections: 50, kept: true, size: "mix" }),
    ],
  },
  {
    warmUp: null,
    workloads: [list("list-20", `List of ${listMails}, ${listedMails.toLocaleString("en")} mails of 1 KB stored`)],
  },
];

/** Sends mails of 4 KB over 50 connections. */
export async function sendMails({ running, generator, recipients }: Rig, seconds: number, token: string) {
  return await generator.run({
    kind: "intake",
    target: running.smtp,
    recipients,
    connections: pushConnections,
    kept: true,
    pipelined: false,
    seconds,
    size: smallBytes,
    token,
  });
}

/** What {@link sendMails} sent, to compare with. */
export const sentBytes = smallBytes;

/** Tells the mails of one measurement from all others. */
export function newToken(): string {
  return randomBytes(6).toString("hex");
}

function intake(name: string, title: string, shape: IntakeShape): Workload {
  return {
    name,
    title,
    main: heading.mailsPerSecond,
    isRate: true,
    suits: () => true,
    run: async ({ running, generator, recipients }, seconds) => {
      const job = { kind: "intake", target: running.smtp, recipients, pipelined: false, token: newToken() } as const;
      const [result, used] = await measure(running, () => generator.run({ ...job, ...shape, seconds }));
      const thousands = Math.max(1, result.mails) / 1000;
      return {
        [heading.mailsPerSecond]: result.mails / result.seconds,
        [heading.ackP50]: result.ackMs.p50,
        [heading.ackP99]: result.ackMs.p99,
        [heading.cpu]: used.cpuSeconds / thousands,
        [heading.generatorCpu]: result.cpuSeconds / thousands,
        [heading.peak]: used.peakBytes / 1024 ** 2,
        [heading.failed]: result.failed,
      };
    },
  };
}

function push(name: string, title: string): Workload {
  return {
    name,
    title,
    main: heading.pushP50,
    isRate: false,
    suits: ({ events }) => events !== undefined,
    run: async ({ running, generator, recipients }, seconds) => {
      const mails = { target: running.smtp, recipients, size: smallBytes, token: newToken() };
      const load = { connections: pushConnections, mailsPerSecond: pushRate, seconds };
      const socket = { websocket: running.events ?? "", subscribers: 1 };
      const [result, used] = await measure(running, () =>
        generator.run({ kind: "push", ...mails, ...load, ...socket }),
      );
      return {
        [heading.pushP50]: result.pushMs.p50,
        [heading.pushP99]: result.pushMs.p99,
        [heading.pushP999]: result.pushMs.p999,
        [heading.ackP50]: result.ackMs.p50,
        [heading.ackP99]: result.ackMs.p99,
        [heading.cpu]: (used.cpuSeconds * 1000) / result.sent,
        [heading.lost]: result.lost,
      };
    },
  };
}

function list(name: string, title: string): Workload {
  return {
    name,
    title,
    main: heading.requestsPerSecond,
    isRate: true,
    suits: ({ list: url }) => url !== undefined,
    run: async ({ running, generator, recipients }, seconds) => {
      const mails = { target: running.smtp, recipients: recipients.slice(0, 1), size: tinyBytes, token: newToken() };
      const load = { connections: pushConnections, mailsPerSecond: fillRate, seconds: listedMails / fillRate };
      await generator.run({ kind: "push", ...mails, ...load, websocket: "", subscribers: 0 });
      const { origin, pathname, search } = new URL(running.list ?? "");
      await checkList(running.list ?? "");
      const job = { kind: "reading", origin, paths: [pathname + search], connections: listConnections } as const;
      // The second that counts nothing.
      await generator.run({ ...job, seconds: 1 });
      const [result, used] = await measure(running, () => generator.run({ ...job, seconds }));
      return {
        [heading.requestsPerSecond]: result.requests / result.seconds,
        "p50 ms": result.responseMs.p50,
        "p99 ms": result.responseMs.p99,
        [heading.cpu]: (used.cpuSeconds * 1000) / Math.max(1, result.requests),
        "KiB/answer": result.bytes / 1024 / Math.max(1, result.requests),
      };
    },
  };
}

/** Both kinds of list hold their mails in an array, whatever its name. */
async function checkList(url: string): Promise<void> {
  const page = (await (await fetch(url)).json()) as Record<string, unknown>;
  if (!Object.values(page).some((value) => Array.isArray(value) && value.length === listMails)) {
    throw new Error(`Its list does not hold ${listMails} mails`);
  }
}

/** What a peer used for a job, and for what the job left it to do. */
async function measure<R>(
  running: RunningPeer,
  job: () => Promise<R>,
): Promise<[R, { cpuSeconds: number; peakBytes: number }]> {
  const before = await running.process.usage();
  const result = await job();
  await running.settle?.();
  const { cpuSeconds, peakBytes } = await running.process.usage();
  return [result, { cpuSeconds: cpuSeconds - before.cpuSeconds, peakBytes }];
}
