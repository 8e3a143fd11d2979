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
  | "failed";

export type ConnectionRefusal = "too_many" | "too_many_from_address" | "stopping" | "bad_proxy_header";

/** What the door counts. Calls are synchronous and must not throw. */
export interface SmtpMetrics {
  connectionOpened(): void;
  connectionClosed(): void;
  connectionRefused(reason: ConnectionRefusal): void;
  handshakeEnded(outcome: HandshakeOutcome): void;
  recipientRefused(reason: RecipientRefusal): void;
  /** `bytes`: content that arrived, dots unstuffed. */
  mailEnded(outcome: MailOutcome, bytes: number): void;
}
