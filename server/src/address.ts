import { domainToASCII } from "node:url";

/** A mailbox address in canonical form, and its pieces. Made only by {@link parseAddress}. */
export interface Address {
  /** Canonical text: what is stored, compared and shown. `local@domain`, the local part quoted only where it must be. */
  readonly text: string;
  /** Local part without quotes, NFC, lower case, tag included. */
  readonly local: string;
  /** Lower case A-label domain, or an address literal in its brackets. */
  readonly domain: string;
  /** Canonical address of the mailbox that a plus-address belongs to; equal to `text` when there is no tag. */
  readonly base: string;
  /** What follows the first `+` of the local part; `null` when there is none. */
  readonly tag: string | null;
}

/** Longest local part in octets (RFC 5321 section 4.5.3.1.1). */
const maxLocalBytes = 64;
/** Longest domain in octets (RFC 5321 section 4.5.3.1.2). */
const maxDomainBytes = 255;

const atext = /^[a-z0-9!#$%&'*+/=?^_`{|}~\u0080-\u{10ffff}-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~\u0080-\u{10ffff}-]+)*$/iu;
const domainName = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
// What both of them say about ASCII, in one look.
const plain =
  /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;
const literal = /^\[(?:\d{1,3}(?:\.\d{1,3}){3}|ipv6:[0-9a-f:.]+)\]$/;
// Control characters and separators can never be told apart in a log, a list or a query string, invisible ones make two
// addresses look like one, and those that turn the writing direction make an address look like another. Joiners and
// variation selectors stay, because words of some languages, and emoji, are written with them.
const forbidden =
  /[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufffd\p{Cs}[\p{Default_Ignorable_Code_Point}--[\ufe00-\ufe0f\u200c-\u200d]]]/v;

/**
 * Parses one bare address (no display name, no angle brackets) into canonical form: NFC, case-folded,
 * quotes dropped where they are not needed, the domain as A-labels. Encoded words (RFC 2047) are never decoded.
 *
 * Limits: local part 64 octets, domain 255 octets (RFC 5321 section 4.5.3.1). Returns `null` for anything that is not
 * an address (RFC 5321 section 4.1.2 Mailbox, RFC 6531 section 3.3); never throws; linear in the input.
 */
export function parseAddress(input: string): Address | null {
  return parsePlain(input) ?? parseAny(input);
}

/** The short way of nearly every address: ASCII without quotes has nothing to normalize but its case. */
function parsePlain(input: string): Address | null {
  if (input.length > maxLocalBytes + 1 + maxDomainBytes || !plain.test(input)) return null;
  const text = input.toLowerCase();
  const at = text.indexOf("@");
  if (at > maxLocalBytes || text.length - at - 1 > maxDomainBytes) return null;
  return addressOf(text.slice(0, at), text.slice(at + 1), text);
}

function parseAny(input: string): Address | null {
  if (input.length > 2 * (maxLocalBytes + maxDomainBytes) || forbidden.test(input)) return null;
  const at = input.lastIndexOf("@");
  if (at <= 0) return null;
  const local = parseLocal(input.slice(0, at));
  const domain = parseDomain(input.slice(at + 1));
  if (local === null || domain === null) return null;
  return addressOf(local, domain, `${quoteLocal(local)}@${domain}`);
}

function addressOf(local: string, domain: string, text: string): Address {
  const plus = local.indexOf("+");
  if (plus <= 0) return { text, local, domain, base: text, tag: null };
  return { text, local, domain, base: `${quoteLocal(local.slice(0, plus))}@${domain}`, tag: local.slice(plus + 1) };
}

/** Canonical form of a domain name or address literal; `null` when it is neither. Never throws. */
export function parseDomain(input: string): string | null {
  if (input.length === 0 || input.length > maxDomainBytes || forbidden.test(input)) return null;
  const lower = input.toLowerCase();
  if (lower.startsWith("[")) return literal.test(lower) ? lower : null;
  const ascii = isAscii(lower) ? lower : domainToASCII(lower.normalize("NFC"));
  return ascii.length <= maxDomainBytes && domainName.test(ascii) ? ascii : null;
}

function parseLocal(input: string): string | null {
  const bare = input.startsWith('"') ? unquote(input) : atext.test(input) ? input : null;
  if (bare === null || bare.length === 0) return null;
  const folded = bare.normalize("NFC").toLowerCase().normalize("NFC");
  return Buffer.byteLength(folded) <= maxLocalBytes ? folded : null;
}

/** RFC 5321 section 4.1.2 Quoted-string: printable characters, `\` before any ASCII one. */
function unquote(input: string): string | null {
  if (input.length < 2 || !input.endsWith('"')) return null;
  let out = "";
  for (let i = 1; i < input.length - 1; i++) {
    if (input[i] === '"') return null;
    if (input[i] === "\\") {
      i++;
      if (i === input.length - 1 || !isAscii(input[i] ?? "")) return null;
    }
    out += input[i];
  }
  return out;
}

function quoteLocal(local: string): string {
  return atext.test(local) ? local : `"${local.replace(/["\\]/g, "\\$&")}"`;
}

function isAscii(text: string): boolean {
  return !/[^\u0000-\u007f]/.test(text);
}
