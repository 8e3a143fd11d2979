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
  /** Bytes of all mails that are being received or wait for their commit. */
  maxBufferedBytes: number;
}
