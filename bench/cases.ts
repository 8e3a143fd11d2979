import { randomBytes } from "node:crypto";
import type { FilledStore } from "./fill.ts";
import type { GeneratorProcess } from "./generator-process.ts";
import type { ServerProcess } from "./server-process.ts";

/** Figures of one measurement by their heading, unit included, in the order in which they are shown. */
export type Figures = Record<string, number>;

/** One thing that is measured: a line of the report. */
export interface Case {
  name: string;
  /** Measures once, for so many seconds. */
  run(seconds: number): Promise<Figures>;
}

interface Rig {
  server: ServerProcess;
  generator: GeneratorProcess;
}

const mailBytes = 4096;
const pushRate = 1000;
const pageMails = 50;
const listConnections = 4;

/** Durable mails per second: kept connections and one mail per connection. */
export function intakeCases(rig: Rig): Case[] {
  return [
    intakeCase(rig, { name: "50 connections, kept", connections: 50, kept: true, pipelined: false }),
    intakeCase(rig, { name: "50 connections, kept, pipelined", connections: 50, kept: true, pipelined: true }),
    intakeCase(rig, { name: "50 connections, a mail each", connections: 50, kept: false, pipelined: false }),
    intakeCase(rig, { name: "10 connections, a mail each", connections: 10, kept: false, pipelined: false }),
    intakeCase(rig, { name: "1 connection, kept", connections: 1, kept: true, pipelined: false }),
  ];
}

/** Tells the mails of one measurement from all others. */
function newToken(): string {
  return randomBytes(6).toString("hex");
}

interface IntakeShape {
  name: string;
  connections: number;
  kept: boolean;
  pipelined: boolean;
}

function intakeCase({ server, generator }: Rig, shape: IntakeShape): Case {
  const { connections, kept, pipelined } = shape;
  return {
    name: shape.name,
    run: async (seconds) => {
      const before = await server.usage();
      const job = { kind: "intake", target: server.smtp, recipients: [server.mailbox], size: mailBytes } as const;
      const result = await generator.run({ ...job, connections, kept, pipelined, seconds, token: newToken() });
      const after = await server.usage();
      return {
        "mails/s": result.mails / result.seconds,
        "ack p50 ms": result.ackMs.p50,
        "ack p99 ms": result.ackMs.p99,
        failed: result.failed,
        "CPU µs/mail": ((after.cpuSeconds - before.cpuSeconds) * 1e6) / Math.max(1, result.mails),
        "generator µs/mail": (result.cpuSeconds * 1e6) / Math.max(1, result.mails),
        "RSS MiB": after.residentBytes / 1024 ** 2,
      };
    },
  };
}

/** Time from the final dot to the frame at a subscriber, at a fixed rate. */
export function pushCases({ server, generator }: Rig, key: string): Case[] {
  const smtp = { target: server.smtp, recipients: [server.mailbox], connections: 50, size: mailBytes };
  const job = { ...smtp, websocket: `${server.websocket}?key=${key}`, subscribers: 1, mailsPerSecond: pushRate };
  const run: Case["run"] = async (seconds) => {
    const before = await server.usage();
    const result = await generator.run({ kind: "push", ...job, seconds, token: newToken() });
    const after = await server.usage();
    return {
      "push p50 ms": result.pushMs.p50,
      "p99 ms": result.pushMs.p99,
      "p99.9 ms": result.pushMs.p999,
      "max ms": result.pushMs.max,
      "ack p50 ms": result.ackMs.p50,
      "ack p99 ms": result.ackMs.p99,
      "sender late p99 ms": result.lateMs.p99,
      lost: result.lost,
      misplaced: result.misplaced,
      "CPU µs/mail": ((after.cpuSeconds - before.cpuSeconds) * 1e6) / result.sent,
      "RSS MiB": after.residentBytes / 1024 ** 2,
    };
  };
  return [{ name: `${pushRate} mails/s, open loop`, run }];
}

interface FilledRig extends Rig {
  store: FilledStore;
}

/** List requests per second on a small and on a big store: the newest page, one in the middle, and a user scattered among others. */
export function listCases(small: FilledRig, big: FilledRig): Case[] {
  const { scattered } = big.store;
  return [
    ...[small, big].flatMap((rig) => {
      const { mails, address, key } = rig.store;
      const before = Math.ceil(mails / 2);
      return [
        listCase(rig, `${mails} mails, newest page`, { mail: address, key }),
        listCase(rig, `${mails} mails, page in the middle`, { mail: address, key, before: String(before) }),
      ];
    }),
    ...(scattered === null
      ? []
      : [
          listCase(big, `a mailbox scattered among ${big.store.mails}`, {
            mail: scattered.address,
            key: scattered.key,
          }),
        ]),
  ];
}

function listCase({ server, generator }: FilledRig, name: string, parameters: Record<string, string>): Case {
  const url = `${server.api}?${new URLSearchParams({ type: "getmails", ...parameters }).toString()}`;
  const run: Case["run"] = async (seconds) => {
    const before = await server.usage();
    const job = { kind: "list", url, connections: listConnections, seconds, mails: pageMails } as const;
    const result = await generator.run(job);
    const after = await server.usage();
    return {
      "requests/s": result.requests / result.seconds,
      "p50 ms": result.responseMs.p50,
      "p99 ms": result.responseMs.p99,
      "KiB/answer": result.bodyBytes / 1024,
      "CPU µs/request": ((after.cpuSeconds - before.cpuSeconds) * 1e6) / Math.max(1, result.requests),
      "RSS MiB": after.residentBytes / 1024 ** 2,
    };
  };
  return { name, run };
}
