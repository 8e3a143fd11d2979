import { isChunkLine, type Line, type LineFault } from "./lines.ts";
import { parsePath, type Path } from "./paths.ts";
import { replies, type Reply } from "./replies.ts";

export interface MailParameters {
  /** What the client declared (RFC 1870); 0 when it declared nothing. */
  sizeBytes: number;
  /** Addresses of this mail may hold more than ASCII (RFC 6531). */
  smtpUtf8: boolean;
}

/** One command that is well formed by itself; whether it fits here is the session's to say. */
export type Command =
  | { verb: "MAIL"; from: Path; parameters: MailParameters }
  | { verb: "RCPT"; to: Path }
  | { verb: "EHLO" | "HELO" | "LHLO"; name: string }
  /** So many octets of a mail follow the line at once (RFC 3030), whatever is thought of the command. */
  | { verb: "BDAT"; bytes: number; isLast: boolean }
  | { verb: "DATA" | "RSET" | "NOOP" | "QUIT" | "VRFY" | "HELP" | "STARTTLS" }
  | { verb: "refused"; reply: Reply };

const lineFaults: Readonly<Record<LineFault, Reply>> = {
  too_long: replies.lineTooLong,
  bare_line_end: replies.badLineEnd,
  bad_character: replies.badCharacter,
  not_utf8: replies.notUtf8,
};

/** The command that a line is; a line that is none is refused. Never throws. */
export function commandOf(line: Line): Command {
  if (line.fault === null) return parseCommand(line.text);
  // Octets of a mail follow, and how many nobody knows.
  return { verb: "refused", reply: line.isChunk ? replies.badChunk : lineFaults[line.fault] };
}

/**
 * Parses one line (RFC 5321 section 4.1.1). Verbs and parameter names in any case; trailing spaces are ignored; a space
 * after the colon of MAIL FROM: and RCPT TO: is allowed, missing angle brackets are not. Never throws.
 */
export function parseCommand(line: string): Command {
  const text = line.trimEnd();
  const space = text.indexOf(" ");
  const verb = (space === -1 ? text : text.slice(0, space)).toUpperCase();
  const argument = space === -1 ? "" : text.slice(space + 1);
  switch (verb) {
    case "MAIL":
      return parseMail(argument);
    case "RCPT":
      return parseRecipient(argument);
    case "EHLO":
    case "HELO":
    case "LHLO":
      return argument.trim() === "" ? refused(replies.badArgument) : { verb, name: argument.trim() };
    case "VRFY":
      return argument.trim() === "" ? refused(replies.badArgument) : { verb };
    case "BDAT":
      return parseChunk(argument);
    case "DATA":
    case "RSET":
    case "QUIT":
    case "STARTTLS":
      return argument === "" ? { verb } : refused(replies.badArgument);
    case "NOOP":
    case "HELP":
      return { verb };
    default:
      // Somebody sends octets of a mail after this line, and nobody knows how many.
      return refused(isChunkLine(text) ? replies.badChunk : refusalOf(verb));
  }
}

function refusalOf(verb: string): Reply {
  switch (verb) {
    case "EXPN":
    case "AUTH":
    case "ETRN":
    case "TURN":
    case "SEND":
    case "SOML":
    case "SAML":
      return replies.notImplemented;
    case "GET":
    case "POST":
    case "PUT":
    case "HEAD":
    case "DELETE":
    case "PATCH":
    case "OPTIONS":
    case "CONNECT":
    case "TRACE":
      return replies.notHttp;
    default:
      return replies.unknownCommand;
  }
}

/** Sizes beyond what a number holds exactly count as garbled: a frame that cannot be counted is none. */
function parseChunk(argument: string): Command {
  const [, digits, last] = /^(\d{1,15})( LAST)?$/i.exec(argument) ?? [];
  if (digits === undefined) return refused(replies.badChunk);
  return { verb: "BDAT", bytes: Number(digits), isLast: last !== undefined };
}

function parseMail(argument: string): Command {
  if (!beginsWith(argument, "FROM:")) return refused(replies.badArgument);
  const from = parsePath(argument.slice("FROM:".length).trimStart());
  if (from === null) return refused(replies.badSender);
  const parameters = parseMailParameters(from.rest);
  return typeof parameters === "string" ? refused(parameters) : { verb: "MAIL", from, parameters };
}

function parseRecipient(argument: string): Command {
  if (!beginsWith(argument, "TO:")) return refused(replies.badArgument);
  const to = parsePath(argument.slice("TO:".length).trimStart());
  if (to === null) return refused(replies.badRecipient);
  if (to.rest === "") return { verb: "RCPT", to };
  const parameters = splitParameters(to.rest);
  if (parameters === null) return refused(replies.badArgument);
  return parameters.size > 0 ? refused(replies.unknownParameter) : { verb: "RCPT", to };
}

/** `word` in upper case, the text in any. */
function beginsWith(text: string, word: string): boolean {
  return text.startsWith(word) || text.slice(0, word.length).toUpperCase() === word;
}

function parseMailParameters(text: string): MailParameters | Reply {
  const parameters: MailParameters = { sizeBytes: 0, smtpUtf8: false };
  if (text === "") return parameters;
  const given = splitParameters(text);
  if (given === null) return replies.badArgument;
  for (const [name, value] of given) {
    if (name === "SIZE") {
      if (!/^\d{1,20}$/.test(value ?? "")) return replies.badArgument;
      parameters.sizeBytes = Number(value);
    } else if (name === "BODY") {
      // Either way the content is kept as it comes (RFC 6152); BINARYMIME would need BDAT (RFC 3030).
      if (!/^(?:7BIT|8BITMIME)$/i.test(value ?? "")) return value ? replies.unknownParameter : replies.badArgument;
    } else if (name === "SMTPUTF8") {
      if (value !== null) return replies.badArgument;
      parameters.smtpUtf8 = true;
    } else return replies.unknownParameter;
  }
  return parameters;
}

/** RFC 5321 section 4.1.2 Mail-parameters, by upper-case name; `null` when malformed or given twice. */
function splitParameters(text: string): Map<string, string | null> | null {
  const found = new Map<string, string | null>();
  if (!text.startsWith(" ")) return null;
  for (const word of text.trim().split(/ +/)) {
    const match = /^([a-z0-9][a-z0-9-]*)(?:=([^\s=]+))?$/i.exec(word);
    const name = match?.[1]?.toUpperCase();
    if (name === undefined || found.has(name)) return null;
    found.set(name, match?.[2] ?? null);
  }
  return found;
}

function refused(reply: Reply): Command {
  return { verb: "refused", reply };
}
