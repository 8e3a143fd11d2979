import { randomBytes } from "node:crypto";
import type { Address } from "../address.ts";
import type { Logger } from "../log.ts";
import type { Envelope, Origin } from "../origin.ts";
import type { AcceptedRecipient, Intake, RecipientVerdict } from "./intake.ts";
import type { MailParameters } from "./commands.ts";
import type { MailOutcome, RecipientRefusal, SmtpMetrics } from "./metrics.ts";
import type { Visitor } from "./rates.ts";
import { failed, replies, stored, type Reply } from "./replies.ts";

/** What a mail needs from the house: where it goes, and who is told. */
export interface Surroundings {
  intake: Intake;
  log: Logger;
  metrics: SmtpMetrics | undefined;
  maxRecipients: number;
  /** Counts what the client does; `null`: nobody does. */
  visitor: Visitor | null;
}

/** One mail between MAIL and its end: its envelope, and what becomes of it. */
export class Transaction {
  readonly parameters: MailParameters;
  readonly #envelope: Envelope & { origin: Origin };
  readonly #tls: string | null;
  readonly #surroundings: Surroundings;
  readonly #recipients = new Map<string, AcceptedRecipient>();
  /** With LMTP the key of each accepted RCPT in order, because each gets a reply of its own at the end of the mail. */
  readonly #replyKeys: string[] | null;

  /** `tls`: the version of TLS under which the mail comes. */
  constructor(
    mail: { from: string; parameters: MailParameters; origin: Origin; tls: string | null },
    surroundings: Surroundings,
  ) {
    this.parameters = mail.parameters;
    this.#envelope = { from: mail.from, sizeBytes: mail.parameters.sizeBytes, origin: mail.origin };
    this.#tls = mail.tls;
    this.#surroundings = surroundings;
    this.#replyKeys = mail.origin.transmission.startsWith("LMTP") ? [] : null;
  }

  get hasRecipients(): boolean {
    return this.#recipients.size > 0;
  }

  /** Answers RCPT. `null` is `<postmaster>`. Two addresses that would store the same mail twice count once. Never throws or rejects. */
  addRecipient(address: Address | null): Reply | Promise<Reply> {
    const { intake, metrics, maxRecipients, visitor } = this.#surroundings;
    if ((this.#replyKeys?.length ?? this.#recipients.size) >= maxRecipients) return replies.tooManyRecipients;
    // Asked before anything is looked up: neither the answer nor its time tells a harvester what exists.
    if (visitor !== null && !visitor.mayName()) {
      metrics?.recipientRefused("too_many_unknown");
      return replies.tooManyUnknown;
    }
    const to = address?.text ?? "postmaster";
    try {
      const verdict = intake.checkRecipient(address, this.#envelope);
      if (!(verdict instanceof Promise)) return this.#answerRecipient(verdict, to);
      return verdict.then(
        (found) => this.#answerRecipient(found, to),
        (error: unknown) => this.#failRecipient(error, to),
      );
    } catch (error) {
      return this.#failRecipient(error, to);
    }
  }

  /**
   * What is said at the end of the mail: one reply, or with LMTP one for each accepted RCPT (RFC 2033 section 4.2).
   * `gone`: keys of recipients to whom their mailbox's end is told in place of it.
   */
  atEnd(reply: Reply, gone: readonly string[] = []): Reply {
    if (this.#replyKeys === null) return reply;
    return this.#replyKeys.map((key) => (gone.includes(key) ? replies.unknownMailbox : reply)).join("\r\n");
  }

  /** Hands the mail over and says what {@link atEnd} is due: 250 only for `stored`. Never rejects. */
  deliver(raw: Buffer<ArrayBuffer>): Promise<Reply> {
    const startedAt = performance.now();
    const bytes = raw.length;
    const recipients = [...this.#recipients.values()];
    return this.#surroundings.intake.receive({ envelope: this.#envelope, recipients, raw }).then(
      (result) => {
        if (result.kind !== "stored") return this.atEnd(this.refuse(result.kind, bytes));
        this.#noteStored(result.receipt, bytes, Math.round(performance.now() - startedAt));
        return this.atEnd(stored(result.receipt), result.gone);
      },
      (error: unknown) => this.atEnd(this.#fail(error, bytes)),
    );
  }

  #noteStored(receipt: string, bytes: number, ms: number): void {
    const { log, metrics, visitor } = this.#surroundings;
    const { from, origin } = this.#envelope;
    metrics?.mailEnded("stored", bytes);
    if (visitor !== null) visitor.noteDelivered(Array.from(this.#recipients.values(), ({ mailboxId }) => mailboxId));
    // One object in one go, which is what makes a line for each mail cheap.
    const tls = this.#tls ?? undefined;
    log.info({ receipt, from, recipients: this.#recipients.size, bytes, remote: origin.ip, tls, ms }, "Mail stored");
  }

  #fail(error: unknown, bytes: number): Reply {
    const incident = newIncident();
    this.#surroundings.log.error({ err: error, incident, ...this.#facts(bytes) }, "Mail failed");
    this.#surroundings.metrics?.mailEnded("failed", bytes);
    return failed(incident);
  }

  /** Counts and logs a mail that is not taken, and says why. */
  refuse(outcome: keyof typeof refusals, bytes: number): Reply {
    this.#surroundings.log.info({ reason: outcome, ...this.#facts(bytes) }, "Mail refused");
    this.#surroundings.metrics?.mailEnded(outcome, bytes);
    return refusals[outcome];
  }

  #answerRecipient(verdict: RecipientVerdict, to: string): Reply {
    const { log, metrics, visitor } = this.#surroundings;
    if (verdict.kind === "accepted") {
      const { recipient } = verdict;
      if (visitor !== null && !visitor.mayReach(recipient.mailboxId)) {
        log.info({ reason: "mailbox_too_fast", ...this.#recipientFacts(to) }, "Recipient refused");
        metrics?.recipientRefused("mailbox_too_fast");
        return replies.mailboxTooFast;
      }
      this.#recipients.set(recipient.key, recipient);
      this.#replyKeys?.push(recipient.key);
      return replies.recipientOk;
    }
    log.info({ reason: verdict.kind, ...this.#recipientFacts(to) }, "Recipient refused");
    metrics?.recipientRefused(verdict.kind);
    if (verdict.kind === "unknown_mailbox") visitor?.noteUnknown();
    return replyTo(verdict);
  }

  #failRecipient(error: unknown, to: string): Reply {
    const { log, metrics } = this.#surroundings;
    const incident = newIncident();
    log.error({ err: error, incident, ...this.#recipientFacts(to) }, "Recipient check failed");
    metrics?.recipientRefused("failed" satisfies RecipientRefusal);
    return failed(incident);
  }

  #recipientFacts(to: string): { from: string; to: string; remote: string } {
    return { from: this.#envelope.from, to, remote: this.#envelope.origin.ip };
  }

  #facts(bytes: number): { from: string; recipients: number; bytes: number; remote: string; tls?: string } {
    const { from, origin } = this.#envelope;
    const facts = { from, recipients: this.#recipients.size, bytes, remote: origin.ip };
    return this.#tls === null ? facts : { ...facts, tls: this.#tls };
  }
}

/** A random name for a fault, given to the client and to the log. */
export function newIncident(): string {
  return randomBytes(6).toString("hex");
}

const refusals = {
  gone: replies.unknownMailbox,
  looping: replies.looping,
  dmarc: replies.dmarc,
  too_large: replies.tooLarge,
  bad_line_ends: replies.badMailLineEnd,
  no_room: replies.noRoom,
} as const satisfies Partial<Record<MailOutcome, Reply>>;

const recipientRefusals = {
  unknown_mailbox: replies.unknownMailbox,
  foreign_domain: replies.foreignDomain,
  blocked: replies.blocked,
  listed: replies.listed,
  greylisted: replies.greylisted,
} as const;

function replyTo(verdict: Exclude<RecipientVerdict, { kind: "accepted" }>): Reply {
  if (verdict.kind === "over_quota") return verdict.neverFits ? replies.neverFits : replies.mailboxFull;
  return recipientRefusals[verdict.kind];
}
