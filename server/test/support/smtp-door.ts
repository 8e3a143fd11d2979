import type { Address } from "../../src/address.ts";
import type { Encryption } from "../../src/encryption.ts";
import { createLog } from "../../src/log.ts";
import type { Envelope, Origin } from "../../src/origin.ts";
import type { IncomingMail, Intake, ReceiveResult, RecipientVerdict } from "../../src/smtp/intake.ts";
import { NetworkSet } from "../../src/network.ts";
import type { SmtpLimits } from "../../src/smtp/limits.ts";
import type { SmtpMetrics } from "../../src/smtp/metrics.ts";
import type { Spool } from "../../src/smtp/spool.ts";
import { SmtpServer, type SmtpListener } from "../../src/smtp/server.ts";
import { silentLog } from "./silent-log.ts";
import { serverName } from "./smtp-client.ts";

/** A mail as the door handed it over. */
export interface TakenMail {
  from: string;
  to: string[];
  raw: Buffer<ArrayBuffer>;
  origin: Origin | null;
}

/** What stands behind the door in its tests: a house in memory, which tests can hold up or break. */
export class MemoryIntake implements Intake {
  readonly mails: TakenMail[] = [];
  /** Every recipient that was asked for, as canonical text. */
  readonly asked: string[] = [];
  domain = "ours.example";
  /** Addresses that are not simply unknown; by canonical base address. */
  readonly verdicts = new Map<string, RecipientVerdict>();
  /** What the next mails come to; a function may wait or throw. */
  onReceive: (mail: IncomingMail) => Promise<ReceiveResult> | ReceiveResult = () => ({
    kind: "stored",
    receipt: `receipt-${this.mails.length}`,
  });
  /** Awaited before each answer about a recipient. */
  beforeCheck: () => Promise<void> | void = () => undefined;

  constructor(...addresses: string[]) {
    for (const address of addresses) this.accept(address);
  }

  accept(address: string): void {
    this.verdicts.set(address, { kind: "accepted", recipient: { key: address, mailboxId: this.verdicts.size + 1 } });
  }

  async checkRecipient(address: Address | null, { sizeBytes }: Envelope): Promise<RecipientVerdict> {
    await this.beforeCheck();
    const name = address?.base ?? "postmaster";
    this.asked.push(address?.text ?? "postmaster");
    if (name === "quota@ours.example") return { kind: "over_quota", neverFits: sizeBytes > 1000 };
    if (name === "broken@ours.example") throw new Error("the store is away");
    if (address !== null && address.domain !== this.domain) return { kind: "foreign_domain" };
    return this.verdicts.get(name) ?? { kind: "unknown_mailbox" };
  }

  async receive(mail: IncomingMail): Promise<ReceiveResult> {
    const result = await this.onReceive(mail);
    if (result.kind === "stored") {
      this.mails.push({
        from: mail.envelope.from,
        to: mail.recipients.map(({ key }) => key),
        raw: mail.raw,
        origin: mail.envelope.origin,
      });
    }
    return result;
  }
}

export const roomyLimits: SmtpLimits = {
  maxMessageBytes: 26_214_400,
  maxRecipients: 100,
  maxLineBytes: 4096,
  maxMails: 1000,
  maxErrors: 10,
  idleTimeoutMs: 300_000,
  maxConnections: 1000,
  maxConnectionsPerIp: 50,
  maxBufferedBytes: 268_435_456,
  spoolBytes: 1_048_576,
  minBytesPerSecond: 500,
  minRatePeriodMs: 30_000,
  maxSessionMs: 600_000,
  stressPercent: 100,
  stressIdleTimeoutMs: 10_000,
  stressMaxErrors: 1,
  rates: {
    trusted: null,
    connectionsPerMinute: 0,
    mailsPerMinute: 0,
    mailboxMailsPerMinute: 0,
    unknownRecipients: 0,
    unknownPeriodMs: 600_000,
  },
};

/** Counts nothing. */
export const noMetrics: SmtpMetrics = {
  connectionOpened: () => undefined,
  connectionClosed: () => undefined,
  connectionRefused: () => undefined,
  connectionCut: () => undefined,
  handshakeEnded: () => undefined,
  stressChanged: () => undefined,
  recipientRefused: () => undefined,
  mailPutOff: () => undefined,
  mailSpooled: () => undefined,
  mailEnded: () => undefined,
};

/** A listener on any port of the loopback. */
export const freePort = { host: "127.0.0.1", port: 0 };

/** One that speaks TLS from the first byte. */
export const secureFreePort = { ...freePort, tls: "implicit" } as const;

/** The port of one of a door's listeners. */
export function portOf(door: SmtpServer, listener: number): number {
  const place = door.places[listener];
  if (place === undefined || !("port" in place)) throw new Error(`listener ${listener} has no port`);
  return place.port;
}

export interface DoorOptions {
  limits?: Partial<SmtpLimits>;
  /** One port for SMTP without it. */
  listeners?: readonly SmtpListener[];
  /** Canonical networks. */
  proxyPeers?: readonly string[];
  spool?: Spool;
  metrics?: SmtpMetrics;
  encryption?: Encryption;
  /** Gets every log line. */
  log?: string[];
}

/** Opens the door on free ports of the loopback. */
export async function openDoor(intake: Intake, options: DoorOptions = {}): Promise<SmtpServer> {
  const { log: lines, metrics, encryption } = options;
  return SmtpServer.listen({
    listeners: options.listeners ?? [freePort],
    ...(options.proxyPeers === undefined ? {} : { proxyPeers: new NetworkSet(options.proxyPeers) }),
    hostname: serverName,
    limits: { ...roomyLimits, ...options.limits },
    ...(options.spool === undefined ? {} : { spool: options.spool }),
    intake,
    log:
      lines === undefined
        ? silentLog()
        : createLog({ level: "debug", format: "json", write: (line) => lines.push(line) }),
    ...(metrics === undefined ? {} : { metrics }),
    ...(encryption === undefined ? {} : { encryption }),
  });
}
