/** How a mail came in, as RFC 3848 names it, and `HTTP` for what was posted. */
export type Transmission = "SMTP" | "ESMTP" | "ESMTPS" | "LMTP" | "LMTPS" | "HTTP" | "HTTPS";

/** Where a mail came from. */
export interface Origin {
  /**
   * Address of the client, as the operating system prints it, or as a listed proxy told it. `local` for a Unix socket,
   * which has none. With LMTP the client is our own mail server, not the sender's.
   */
  ip: string;
  /** What the client called itself, in EHLO, HELO or LHLO; "" where it did not say. Never to be believed. */
  helo: string;
  transmission: Transmission;
}

/** True where the client hands on what somebody sent to it, so that its own address says nothing about the sender. */
export function isHandedOn({ transmission }: Origin): boolean {
  return !transmission.includes("SMTP");
}

/** What is known of a mail when a recipient is named. */
export interface Envelope {
  /** Canonical sender; "" for the null reverse-path. */
  from: string;
  /** Declared size in bytes (RFC 1870); 0 when nothing was declared. */
  sizeBytes: number;
  /** `null`: a program of this machine hands the mail over. */
  origin: Origin | null;
}
