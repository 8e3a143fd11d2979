import { setTimeout as delay } from "node:timers/promises";
import { distribution, type Distribution } from "./distribution.ts";
import { Envelopes } from "./envelopes.ts";
import { SampleMails, type MailSize, type MailWriter } from "./sample-mail.ts";
import { SmtpLane, type LaneOwner, type SmtpTarget } from "./smtp-lane.ts";

export interface ArrivalOptions {
  target: SmtpTarget;
  recipients: readonly string[];
  connections: number;
  mailsPerSecond: number;
  /** How many in all. */
  mails: number;
  size: MailSize;
  token: string;
  /** Gets when each mail's time began, by its number. */
  sinceMs: Float64Array;
}

interface Sender {
  writer: MailWriter;
  number: number;
}

const readBytes = 65_536;
const clockStepMs = 1;

/** Mails that are due at fixed times, over connections that wait behind 354 for theirs. */
export class ArrivingMails implements LaneOwner, Disposable {
  readonly #options: ArrivalOptions;
  readonly #envelopes: Envelopes;
  readonly #senders = new Map<SmtpLane, Sender>();
  /** Mails that were due while no connection was free, oldest first from {@link #firstWaiting} on. */
  readonly #waiting: number[] = [];
  readonly #free: SmtpLane[] = [];
  readonly #ackMs: number[] = [];
  readonly #lateMs: number[] = [];
  readonly #ready = Promise.withResolvers<void>();
  readonly #acknowledged = Promise.withResolvers<void>();
  #firstWaiting = 0;
  #due = 0;
  #envelope = 0;

  constructor(options: ArrivalOptions) {
    const { target, recipients, connections, size, token } = options;
    this.#options = options;
    this.#envelopes = new Envelopes(recipients, false);
    const mails = new SampleMails(size, token);
    const readBuffer = Buffer.allocUnsafe(readBytes);
    for (let left = connections; left > 0; left--) {
      this.#senders.set(new SmtpLane(target, this, readBuffer), { writer: mails.writer(), number: 0 });
    }
  }

  /** Resolves when every connection waits for its first mail. */
  get allReady(): Promise<void> {
    return this.#ready.promise;
  }

  /** Resolves when every mail is acknowledged; rejects when a connection is lost. */
  get allAcknowledged(): Promise<void> {
    return this.#acknowledged.promise;
  }

  /** Makes all mails due, one after another. */
  async runClock(): Promise<void> {
    const { mailsPerSecond, mails, sinceMs } = this.#options;
    const stepMs = 1000 / mailsPerSecond;
    const startMs = performance.now();
    while (this.#due < mails) {
      await delay(clockStepMs);
      const nowMs = performance.now();
      for (let dueMs = startMs + this.#due * stepMs; dueMs <= nowMs && this.#due < mails; dueMs += stepMs) {
        const number = this.#due++;
        this.#lateMs.push(nowMs - dueMs);
        const lane = this.#free.pop();
        if (lane !== undefined) {
          this.#send(lane, number);
        } else {
          sinceMs[number] = dueMs;
          this.#waiting.push(number);
        }
      }
    }
  }

  result(): { sent: number; ackMs: Distribution; lateMs: Distribution } {
    return { sent: this.#due, ackMs: distribution(this.#ackMs), lateMs: distribution(this.#lateMs) };
  }

  [Symbol.dispose](): void {
    for (const lane of this.#senders.keys()) lane.destroy();
  }

  greeted(lane: SmtpLane): void {
    lane.begin(this.#envelopes.of(this.#envelope++));
  }

  ready(lane: SmtpLane): void {
    const number = this.#waiting[this.#firstWaiting];
    if (number !== undefined) {
      this.#firstWaiting++;
      return this.#send(lane, number);
    }
    this.#free.push(lane);
    if (this.#free.length === this.#senders.size) this.#ready.resolve();
  }

  stored(lane: SmtpLane): void {
    const { sinceMs, mails } = this.#options;
    this.#ackMs.push(performance.now() - (sinceMs[this.#senderOf(lane).number] ?? 0));
    if (this.#ackMs.length === mails) this.#acknowledged.resolve();
    lane.begin(this.#envelopes.of(this.#envelope++));
  }

  closed(_lane: SmtpLane, error: Error | null): void {
    const lost = error ?? new Error("The server ended a connection");
    this.#ready.reject(lost);
    this.#acknowledged.reject(lost);
  }

  #send(lane: SmtpLane, number: number): void {
    const sender = this.#senderOf(lane);
    sender.number = number;
    // Not from when it was due: how late the clock was is the generator's own affair.
    if (this.#options.sinceMs[number] === 0) this.#options.sinceMs[number] = performance.now();
    lane.send(sender.writer, number);
  }

  #senderOf(lane: SmtpLane): Sender {
    const sender = this.#senders.get(lane);
    if (sender === undefined) throw new Error("A lane that is not of this load");
    return sender;
  }
}
