import type { RateLimits } from "./rates.ts";

/** Bounds of the SMTP door. Every one is counted as the input arrives; none can be switched off. */
export interface SmtpLimits {
  /** Largest content after dot-unstuffing (RFC 1870), in bytes. */
  maxMessageBytes: number;
  /** Different recipients of one mail. */
  maxRecipients: number;
  /** Longest command line in bytes, CRLF included. */
  maxLineBytes: number;
  /** Mails transferred on one connection, accepted or not. */
  maxMails: number;
  /** Replies 5yz on one connection. */
  maxErrors: number;
  /** Longest wait for the next command or the next bytes of a mail. */
  idleTimeoutMs: number;
  maxConnections: number;
  /** Connections of one IPv4 address or one IPv6 /64. */
  maxConnectionsPerIp: number;
  /** Bytes in memory of all mails that are being received or wait for their commit. */
  maxBufferedBytes: number;
  /** Content beyond this goes to a file while it comes in, or beyond 8 times this where there is plenty of memory. */
  spoolBytes: number;
  /** Slowest that a mail may come, in each period. */
  minBytesPerSecond: number;
  minRatePeriodMs: number;
  /** Longest connection; what it brings makes it longer, see `pace.ts`. */
  maxSessionMs: number;
  /** Share of all connections in use, in percent, above which the two limits below replace {@link idleTimeoutMs} and {@link maxErrors}. */
  stressPercent: number;
  stressIdleTimeoutMs: number;
  stressMaxErrors: number;
  rates: RateLimits;
}
