import { setTimeout as delay } from "node:timers/promises";
import { ArrivingMails } from "./arriving-mails.ts";
import type { Distribution } from "./distribution.ts";
import type { MailSize } from "./sample-mail.ts";
import type { SmtpTarget } from "./smtp-lane.ts";
import { Subscribers, type SubscriberResult } from "./subscribers.ts";

export interface PushJob {
  kind: "push";
  target: SmtpTarget;
  /** Mail number n goes to one of these, which take turns. */
  recipients: readonly string[];
  /** URL of the WebSocket, with its key. */
  websocket: string;
  /** WebSockets that get every mail; 0: mails are only sent. */
  subscribers: number;
  /** SMTP connections. */
  connections: number;
  mailsPerSecond: number;
  seconds: number;
  size: MailSize;
  /** In the Message-ID of every mail. Letters and digits. */
  token: string;
}

export interface PushResult extends SubscriberResult {
  sent: number;
  /** From the final dot (or when it was due, where it had to wait for a connection) to its 250. */
  ackMs: Distribution;
  /** How late the generator itself was; not part of the other times. */
  lateMs: Distribution;
  /** Processor time of the generator itself. */
  cpuSeconds: number;
}

/** How long the last mails and frames may take. */
const patienceMs = 10_000;

/**
 * Open loop: mails are due at fixed times, whatever the server does. Connections stand ready behind 354, so that the time
 * starts with the content. A mail that finds no free connection when it is due counts from when it was due: a stall of the
 * server is felt by every mail that it holds up. Rejects when a connection or a subscriber is lost.
 */
export async function runPush(job: PushJob): Promise<PushResult> {
  const mails = Math.max(1, Math.round(job.mailsPerSecond * job.seconds));
  using subscribers = new Subscribers({ ...job, mails });
  using arriving = new ArrivingMails({ ...job, mails, sinceMs: subscribers.sinceMs });
  const [sent, arrived] = [arriving.allAcknowledged, subscribers.allArrived];
  // Whatever breaks, breaks all.
  const broken = Promise.all([sent, arrived, subscribers.allOpen]);
  await Promise.race([Promise.all([subscribers.allOpen, arriving.allReady]), broken]);
  const before = process.cpuUsage();
  await Promise.race([arriving.runClock(), broken]);
  await Promise.race([broken, delay(patienceMs, undefined, { ref: false })]);
  const { user, system } = process.cpuUsage(before);
  return { ...arriving.result(), ...subscribers.result(), cpuSeconds: (user + system) / 1e6 };
}
