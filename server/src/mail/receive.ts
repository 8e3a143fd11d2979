import { randomUUID } from "node:crypto";
import type { Address } from "../address.ts";
import { parseAddress } from "../address.ts";
import type { Metrics } from "../metrics.ts";
import type { Envelope, Origin } from "../origin.ts";
import { outlineMail, type MailOutline, type MailParser } from "../mime/mime.ts";
import { maxUnparsedBytes, type Mailbox, type NewMailRecipient, type Route, type Store } from "../store/store.ts";
import type { Admission } from "./admission.ts";
import type { DiskSpace } from "./disk-space.ts";
import type { Feed } from "./feed.ts";
import type { SenderResults } from "./sender-results.ts";

/** A recipient that {@link Receiver.checkRecipient} accepted: where its mail goes. */
export interface ReceiverRecipient extends NewMailRecipient {
  /** Equal for two recipients that would store the same mail twice. */
  readonly key: string;
}

export type RecipientVerdict =
  | { kind: "accepted"; recipient: ReceiverRecipient }
  | { kind: "unknown_mailbox" }
  | { kind: "foreign_domain" }
  /** `recipient` is whose quota it is. */
  | { kind: "over_quota"; neverFits: boolean; recipient: ReceiverRecipient }
  | { kind: "blocked" | "listed" | "greylisted" };

/** `gone`: keys of the recipients whose mailbox was deleted meanwhile, and who got nothing. `no_room`: the disk is nearly full. */
export type ReceiveResult =
  | { kind: "stored"; receipt: string; gone: readonly string[] }
  | { kind: "gone" | "looping" | "dmarc" | "no_room" };

export interface ReceiverOptions {
  store: Store;
  feed: Pick<Feed, "announce" | "isFollowed">;
  parser: MailParser;
  metrics: Metrics;
  /** Left out where nobody watches the disk. */
  disk?: Pick<DiskSpace, "isLow">;
  /** Domain of a `postmaster` that names none. */
  domain: string;
  /** Bytes of mail one user may keep; 0 is no quota. */
  quotaBytes: number;
  /** Received header fields before a mail counts as looping (RFC 5321 section 6.3). */
  maxReceived: number;
  /** Judges senders; left out where no mail comes from anywhere else. */
  senders?: { admission: Admission; results: SenderResults };
}

/**
 * The one way in for mail, whichever door it came through. A result `stored` means that the mail is synced for every
 * recipient whose mailbox still exists, and that followers have been told.
 */
export class Receiver {
  readonly #options: ReceiverOptions;

  constructor(options: ReceiverOptions) {
    this.#options = options;
  }

  /** A client is here and may send mail: what has to be looked up about it is begun. */
  expect(origin: Origin): void {
    this.#options.senders?.admission.expect(origin);
  }

  /** False while new mail is put off because the disk is nearly full: {@link receive} would answer `no_room`. */
  hasRoom(): boolean {
    return this.#options.disk?.isLow !== true;
  }

  /**
   * May this address get a mail with this envelope? `null` is `postmaster` without a domain. Answers at once where the
   * store does and nothing has to be asked elsewhere: that is every mail's way, and each promise costs.
   */
  checkRecipient(address: Address | null, envelope: Envelope): RecipientVerdict | Promise<RecipientVerdict> {
    const { store, domain, senders } = this.#options;
    // Before anything is said about the mailbox: a blocked sender learns nothing.
    if (senders?.admission.isBlocked(envelope)) return { kind: "blocked" };
    const target = address ?? parseAddress(`postmaster@${domain}`);
    if (target === null) return { kind: "unknown_mailbox" };
    const route = store.route(target, Date.now());
    return route instanceof Promise
      ? route.then((found) => this.#judge(found, target, envelope))
      : this.#judge(route, target, envelope);
  }

  #judge(route: Route, target: Address, envelope: Envelope): RecipientVerdict | Promise<RecipientVerdict> {
    if (route.kind !== "unknown_mailbox" || target.local !== "postmaster") return this.#admit(route, target, envelope);
    return this.#routePostmaster().then((found) => this.#admit(found, target, envelope));
  }

  #admit(route: Route, target: Address, envelope: Envelope): RecipientVerdict | Promise<RecipientVerdict> {
    if (route.kind !== "mailbox") return route;
    const recipient = recipientOf(route.mailbox, target.text);
    if (this.#options.quotaBytes > 0) return this.#admitWithin(recipient, target, envelope);
    return this.#ask(recipient, target, envelope);
  }

  async #admitWithin(recipient: ReceiverRecipient, target: Address, envelope: Envelope): Promise<RecipientVerdict> {
    const { store, quotaBytes } = this.#options;
    const { sizeBytes } = envelope;
    if ((await store.usedBytes(recipient.userId)) + sizeBytes >= quotaBytes) {
      return { kind: "over_quota", neverFits: sizeBytes > quotaBytes, recipient };
    }
    return this.#ask(recipient, target, envelope);
  }

  #ask(
    recipient: ReceiverRecipient,
    target: Address,
    envelope: Envelope,
  ): RecipientVerdict | Promise<RecipientVerdict> {
    const asked = this.#options.senders?.admission.objection(envelope, target) ?? null;
    if (asked === null) return { kind: "accepted", recipient };
    return asked.then((objection) => (objection === null ? { kind: "accepted", recipient } : { kind: objection }));
  }

  /** Is mail for this domain taken here at all? */
  async isServed(domain: string): Promise<boolean> {
    const address = parseAddress(`postmaster@${domain}`);
    return address !== null && (await this.#options.store.route(address, Date.now())).kind !== "foreign_domain";
  }

  /**
   * Takes one mail for recipients that were accepted before. Rejects only for a fault of ours: nothing was acknowledged,
   * the sender may try again. `raw` is given away with the call.
   */
  async receive(mail: {
    envelope: Envelope;
    recipients: readonly ReceiverRecipient[];
    raw: Buffer<ArrayBuffer>;
  }): Promise<ReceiveResult> {
    const { store, feed, metrics, maxReceived, senders } = this.#options;
    const startedMs = performance.now();
    const receivedAtMs = Date.now();
    const sizeBytes = mail.raw.byteLength;
    if (!this.hasRoom()) return { kind: "no_room" };
    // Begun before the store owns the bytes, and awaited only where a recipient's domain wants to know before the 250.
    const begun = senders?.results.begin(mail.envelope, mail.raw) ?? null;
    const read = this.#read(mail.raw, mail.recipients);
    const summary = read instanceof Promise ? await read : read;
    if (summary.received > maxReceived) return { kind: "looping" };
    const mailFrom = summary.from === "" ? mail.envelope.from : summary.from;
    const check = begun === null ? null : (senders?.results.about(mailFrom, begun) ?? null);
    if (check !== null && (await senders?.results.refuses(mail.recipients, check))) return { kind: "dmarc" };
    const { subject, content } = summary;
    const { delivered, gone } = await store.commit({
      mailFrom,
      subject,
      content,
      receivedAtMs,
      contentAt: summary.contentAt,
      raw: mail.raw,
      envelopeFrom: mail.envelope.from,
      defects: summary.defects,
      origin: mail.envelope.origin,
      recipients: mail.recipients,
    });
    if (delivered.length === 0) return { kind: "gone" };
    for (const { userId, id, mailboxId, mailTo } of delivered) {
      feed.announce(userId, { id, mailboxId, mailTo, mailFrom, subject, content, receivedAtMs });
    }
    if (check !== null) void senders?.results.keep(delivered, check);
    metrics.receivedMails.inc();
    metrics.receivedBytes.inc(sizeBytes);
    metrics.receiveSeconds.observe((performance.now() - startedMs) / 1000);
    return { kind: "stored", receipt: randomUUID(), gone: gone.map(keyOf) };
  }

  /** Content is read when it is asked for, unless somebody waits for the mail, or it is so large that reading it is never quick. */
  #read(raw: Buffer<ArrayBuffer>, recipients: readonly ReceiverRecipient[]): MailOutline | Promise<MailOutline> {
    const { feed, parser } = this.#options;
    const isAwaited = recipients.some(({ userId }) => feed.isFollowed(userId));
    return isAwaited || raw.byteLength > maxUnparsedBytes ? parser.summarize(raw) : outlineMail(raw);
  }

  /** Mails that were received in this turn of the event loop go to the store's thread now, and not at its end. */
  handOver(): void {
    this.#options.store.beginCommit();
  }

  /** RFC 5321 section 4.5.1: mail for postmaster always finds somebody; here the first user. */
  async #routePostmaster(): Promise<Route> {
    const { store } = this.#options;
    const [user] = await store.listUsers({ afterId: 0, limit: 1 });
    const mailbox = user === undefined ? null : await store.findMailbox(user.address, Date.now());
    if (user === undefined || mailbox === null) return { kind: "unknown_mailbox" };
    return { kind: "mailbox", mailbox, via: "catch-all" };
  }
}

function recipientOf(mailbox: Mailbox, mailTo: string): ReceiverRecipient {
  const recipient = { userId: mailbox.userId, mailboxId: mailbox.id, mailTo };
  return { key: keyOf(recipient), ...recipient };
}

function keyOf({ mailboxId, mailTo }: NewMailRecipient): string {
  return `${mailboxId} ${mailTo}`;
}
