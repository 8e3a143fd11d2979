import type { HandshakeOutcome } from "../encryption.ts";

/** How the transfer of one mail ended. Only `stored` was answered 250. */
export type MailOutcome =
  | "stored"
  | "gone"
  | "looping"
  | "dmarc"
  | "too_large"
  | "bad_line_ends"
  | "no_room"
  | "failed"
  /** The client left, was closed, or dropped the envelope before the end of the mail. */
  | "unfinished";

export type RecipientRefusal =
  | "unknown_mailbox"
  | "foreign_domain"
  | "over_quota"
  | "blocked"
  | "listed"
  | "greylisted"
  | "too_many_unknown"
  | "mailbox_too_fast"
  | "failed";

export type ConnectionRefusal = "too_many" | "too_many_from_address" | "too_often" | "stopping" | "bad_proxy_header";

/** Why a connection was ended that did not end itself. */
export type ConnectionCut = "idle" | "slow" | "overdue";

/** What the door counts. Calls are synchronous and must not throw. */
export interface SmtpMetrics {
  connectionOpened(): void;
  connectionClosed(): void;
  connectionRefused(reason: ConnectionRefusal): void;
  handshakeEnded(outcome: HandshakeOutcome): void;
  connectionCut(reason: ConnectionCut): void;
  stressChanged(isOn: boolean): void;
  recipientRefused(reason: RecipientRefusal): void;
  /** MAIL was put off: too many of one client, or no room on the disk. */
  mailPutOff(reason: "too_fast" | "no_room"): void;
  /** A mail went on in a file. */
  mailSpooled(): void;
  /** `bytes`: content that arrived, dots unstuffed. */
  mailEnded(outcome: MailOutcome, bytes: number): void;
}
