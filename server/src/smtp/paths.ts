import { parseAddress, parseDomain, type Address } from "../address.ts";

/** What stood between the angle brackets of MAIL FROM or RCPT TO, and what followed them. */
export interface Path {
  /** Without brackets and source route; empty for the null reverse-path. */
  readonly text: string;
  /** `null` when the text is not an address, which `<>` and `<postmaster>` are not either. */
  readonly address: Address | null;
  /** Everything after the closing bracket. */
  readonly rest: string;
}

/**
 * Parses a path at the start of the text (RFC 5321 section 4.1.2). A source route is checked and ignored
 * (appendix C). `null` when brackets are missing, or a route or quoted string is broken. Linear; never throws.
 */
export function parsePath(text: string): Path | null {
  if (!text.startsWith("<")) return null;
  const start = text[1] === "@" ? afterRoute(text) : 1;
  if (start === -1) return null;
  const close = text.indexOf(">", text[start] === '"' ? afterQuoted(text, start) : start);
  if (close === -1) return null;
  const inner = text.slice(start, close);
  return { text: inner, address: parseAddress(inner), rest: text.slice(close + 1) };
}

/** True for `<postmaster>`, the one recipient that needs no domain (RFC 5321 section 4.5.1). */
export function isPostmaster(path: Path): boolean {
  return path.text.toLowerCase() === "postmaster";
}

/** True when only a mail with SMTPUTF8 may name this path (RFC 6531 section 3.4). */
export function needsUtf8(path: Path): boolean {
  return /[^\x00-\x7f]/.test(path.text);
}

function afterRoute(text: string): number {
  const colon = routeEnd(text);
  if (colon === -1) return -1;
  const domains = text.slice(1, colon).split(",");
  const isRoute = domains.every((domain) => domain.startsWith("@") && parseDomain(domain.slice(1)) !== null);
  return isRoute ? colon + 1 : -1;
}

/** The colon that ends a route; those of an IPv6 literal stand in brackets. */
function routeEnd(text: string): number {
  let inLiteral = false;
  for (let i = 1; i < text.length; i++) {
    if (text[i] === "[") inLiteral = true;
    else if (text[i] === "]") inLiteral = false;
    else if (text[i] === ":" && !inLiteral) return i;
    else if (text[i] === ">") return -1;
  }
  return -1;
}

/** Just past the quoted string at `start`; a `>` inside it ends nothing. */
function afterQuoted(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === '"') return i + 1;
  }
  return text.length;
}
