import type { Address } from "../address.ts";
import type { Envelope, Origin } from "../origin.ts";

/**
 * What the SMTP door asks of the house. `mail/receive.ts` fits it and `cli/service.ts` joins the two, so that the protocol
 * engine knows nothing of users or stores.
 */
export interface Intake {
  /** A client has said who it is: whatever is to be looked up about it may begin. Must not throw. */
  expect?(origin: Origin): void;
  /** False when mail is to be put off for want of room (452). Asked at MAIL and while large mails come in; must not throw. */
  hasRoom?(): boolean;
  /**
   * May this recipient get this mail? Asked at RCPT. `postmaster` without a domain arrives as `null`
   * (RFC 5321 section 4.5.1). Throws and rejects only for a fault of ours, which is answered 451.
   */
  checkRecipient(address: Address | null, envelope: Envelope): RecipientVerdict | Promise<RecipientVerdict>;
  /**
   * Takes one mail. Resolves `stored` only after a completed sync for every recipient that still exists.
   * Rejects only for a fault of ours, which is answered 451. The caller gives `raw` away.
   */
  receive(mail: IncomingMail): Promise<ReceiveResult>;
  /** Everything that came in this turn of the event loop was received: what is slow about it may begin. Must not throw. */
  handOver?(): void;
}

export type RecipientVerdict =
  | { kind: "accepted"; recipient: AcceptedRecipient }
  | { kind: "unknown_mailbox" }
  | { kind: "foreign_domain" }
  /** `neverFits`: the declared size alone is over the quota. */
  | { kind: "over_quota"; neverFits: boolean }
  /** The operator has blocked this sender or its network. */
  | { kind: "blocked" }
  /** A DNS block list names this client. */
  | { kind: "listed" }
  /** Not known yet: the sender is to try again in a few minutes. */
  | { kind: "greylisted" };

/** Opaque to the door: it is handed back with the mail. `key` is equal for two RCPT that would store the same mail twice. */
export interface AcceptedRecipient {
  readonly key: string;
  /** Equal for all recipients of one mailbox. */
  readonly mailboxId: number;
}

export interface IncomingMail {
  envelope: Envelope;
  /** At least one, no two with the same key. */
  recipients: readonly AcceptedRecipient[];
  /** Content after dot-unstuffing. What came in more than one piece spans its whole ArrayBuffer. */
  raw: Buffer<ArrayBuffer>;
}

export type ReceiveResult =
  /** `receipt` is random: it names the mail in the log and tells the sender nothing. */
  /** `gone`: keys of recipients whose mailbox was deleted meanwhile, and who got nothing; absent: none. */
  | { kind: "stored"; receipt: string; gone?: readonly string[] }
  /** Every recipient's mailbox was deleted meanwhile. */
  | { kind: "gone" }
  | { kind: "looping" }
  /** Its sender's domain asks to have it rejected, and a recipient's domain does so. */
  | { kind: "dmarc" }
  /** The disk has become too full meanwhile. */
  | { kind: "no_room" };
