/** What is spoken on a listener: SMTP (RFC 5321) or LMTP (RFC 2033). */
export type Protocol = "smtp" | "lmtp";

/**
 * One reply without its final CRLF: code, enhanced code (RFC 2034, RFC 3463) and text, all ASCII.
 * The door never repeats what a client sent, so no reply can be shaped by one.
 */
export type Reply = string;

/** Every fixed reply. `docs/smtp.md` lists them all; a test holds the two equal. */
export const replies = {
  help: "214 2.0.0 Commands: EHLO HELO LHLO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP",
  startTls: "220 2.0.0 Ready to start TLS",
  bye: "221 2.0.0 Bye",
  ok: "250 2.0.0 OK",
  senderOk: "250 2.1.0 Sender OK",
  recipientOk: "250 2.1.5 Recipient OK",
  notVerified: "252 2.0.0 Addresses are checked at RCPT",
  startMail: "354 End the mail with a dot on a line of its own",

  stopping: "421 4.3.2 Service is stopping, try again",
  tooManyConnections: "421 4.3.2 Too many connections, try again",
  idle: "421 4.4.2 Nothing came for too long",
  slow: "421 4.4.2 Mail comes too slowly",
  overdue: "421 4.4.2 Connection is open for too long, open another",
  tooManyFromAddress: "421 4.7.0 Too many connections from your address",
  connectsTooOften: "421 4.7.0 Too many connections from your address in a minute",
  tooManyErrors: "421 4.7.0 Too many errors",
  tooManyMails: "421 4.7.0 Too many mails on one connection, open another",

  mailboxTooFast: "450 4.2.1 Mailbox gets too many mails in a minute, try again",
  mailsTooFast: "450 4.7.1 Too many mails from your address in a minute, try again",
  tooManyUnknown: "450 4.7.1 Too many unknown recipients from your address, try again later",
  greylisted: "451 4.7.1 Not known here yet, try again in a few minutes",
  mailboxFull: "452 4.2.2 Mailbox is full, try again",
  noRoom: "452 4.3.1 No room for this mail now, try again",
  tooManyRecipients: "452 4.5.3 Too many recipients, send the rest in another mail",

  unknownCommand: "500 5.5.1 Unknown command",
  isLmtp: "500 5.5.1 This is LMTP, say LHLO",
  lineTooLong: "500 5.5.2 Line is too long",
  badLineEnd: "500 5.5.2 Lines end with CRLF, a bare CR or LF is refused",
  badCharacter: "500 5.5.2 Control characters are refused",
  notUtf8: "500 5.5.2 Line is not UTF-8",
  badRecipient: "501 5.1.3 Recipient is not an address in angle brackets",
  badSender: "501 5.1.7 Sender is not an address in angle brackets",
  badArgument: "501 5.5.4 Argument is missing, unexpected or malformed",
  badChunk: "501 5.5.4 BDAT takes a number of octets, and LAST or nothing",
  notImplemented: "502 5.5.1 Command is not implemented",
  helloFirst: "503 5.5.1 Say EHLO first",
  lhloFirst: "503 5.5.1 Say LHLO first",
  mailFirst: "503 5.5.1 Say MAIL first",
  nestedMail: "503 5.5.1 A mail is already open, say RSET to drop it",
  chunksOpen: "503 5.5.1 A mail has begun with BDAT, go on with it or say RSET",
  noLmtpRecipients: "503 5.5.1 No valid recipients",
  alreadyTls: "503 5.5.1 TLS is on already",
  sentBeforeTls: "503 5.5.1 Nothing may follow STARTTLS before its reply",

  unknownMailbox: "550 5.1.1 No such mailbox here",
  foreignDomain: "550 5.7.1 Domain is not served here, no relaying",
  blocked: "550 5.7.1 Sender is blocked here",
  listed: "550 5.7.1 Your address is on a DNS block list",
  dmarc: "550 5.7.26 Mail fails DMARC and its domain asks to reject it, or From does not name one domain",
  neverFits: "552 5.2.2 Mail is larger than the mailbox may ever hold",
  tooLarge: "552 5.3.4 Mail is too large",
  needsUtf8: "553 5.6.7 Address is not ASCII, say SMTPUTF8 with MAIL",
  looping: "554 5.4.6 Mail is looping, too many Received fields",
  noRecipients: "554 5.5.1 No valid recipients",
  notHttp: "554 5.5.1 This is SMTP, not HTTP",
  badMailLineEnd: "554 5.6.0 Mail holds a bare CR or LF, lines end with CRLF",
  badChunkLineEnd: "554 5.6.0 Mail holds a bare CR or LF, and BINARYMIME is not offered",
  unknownParameter: "555 5.5.4 Parameter is not implemented",
} as const satisfies Record<string, Reply>;

/** The first line a client sees (RFC 5321 section 3.1); it carries no enhanced code (RFC 2034 section 3). */
export function greeting(hostname: string, protocol: Protocol = "smtp"): Reply {
  return `220 ${hostname} ${protocol === "lmtp" ? "LMTP" : "ESMTP"} Cat Mails`;
}

/** What the answer to EHLO depends on. */
export interface OfferedExtensions {
  maxMessageBytes: number;
  startTls: boolean;
}

/** Answer to EHLO and LHLO: what the door keeps, and nothing else (RFC 5321 section 4.1.1.1). */
export function extensions(hostname: string, { maxMessageBytes, startTls }: OfferedExtensions): Reply {
  const first = `250-${hostname}\r\n250-PIPELINING\r\n250-SIZE ${maxMessageBytes}\r\n250-8BITMIME\r\n`;
  const last = startTls ? "250-SMTPUTF8\r\n250 STARTTLS" : "250 SMTPUTF8";
  return `${first}250-ENHANCEDSTATUSCODES\r\n250-CHUNKING\r\n${last}`;
}

/** The promise: every recipient's mail is durable. `receipt` names it in the log. */
export function stored(receipt: string): Reply {
  return `250 2.0.0 ${receipt}`;
}

/** Answer to a chunk that is not the last (RFC 3030 section 2): nothing is promised yet. */
export function chunkTaken(bytes: number): Reply {
  return `250 2.0.0 ${bytes} octets received`;
}

/** A fault of ours, temporary to the sender; `incident` names it in the log. */
export function failed(incident: string): Reply {
  return `451 4.3.0 Our fault, try again (incident ${incident})`;
}

/** Refusals all of them: nothing else has to be looked up. */
const lastWords: ReadonlySet<Reply> = new Set([
  replies.badChunk,
  replies.badLineEnd,
  replies.badMailLineEnd,
  replies.notHttp,
  // Whoever put these bytes there may not be the client (CVE-2011-0411).
  replies.sentBeforeTls,
]);

/** True when the connection ends after this reply, by its first line: 221, 421, and refusals after which the client's next bytes mean nothing. */
export function isLast(reply: Reply): boolean {
  return isError(reply) ? lastWords.has(firstLine(reply)) : reply.startsWith("421 ") || reply.startsWith("221 ");
}

/** True for 5yz, by its first line, which counts towards the limit of errors. */
export function isError(reply: Reply): boolean {
  return reply.startsWith("5");
}

function firstLine(reply: Reply): string {
  const end = reply.indexOf("\r\n");
  return end === -1 ? reply : reply.slice(0, end);
}
