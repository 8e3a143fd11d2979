import { decodeOctets, decodeWords, plainLine } from "./header-text.ts";
import { libmime } from "./rare-decoders.ts";

/** A value with parameters, as Content-Type and Content-Disposition have (RFC 2045 section 5.1, RFC 2183). */
export interface ParameterValue {
  /** Lower case. */
  readonly value: string;
  /** Names in lower case. Values one character per octet, except those in `decoded`. */
  readonly params: ReadonlyMap<string, string>;
  /** Parameters that came encoded by RFC 2231 and are text already. */
  readonly decoded: ReadonlySet<string>;
}

const ordinary = /^([^\s()<>@,;:\\"[\]?=]+)[ \t]*((?:;[ \t]*[\w-]+=(?:"[^"\\]*"|[^\s()<>@,;:\\"[\]?=]+)[ \t]*)*);?$/;
const ordinaryParam = /;[ \t]*([\w-]+)=(?:"([^"\\]*)"|([^\s;"]+))/g;
const semicolon = 0x3b;
const equalsSign = 0x3d;
const quote = 0x22;
const none: ReadonlySet<string> = new Set();
const nothing: ParameterValue = { value: "", params: new Map(), decoded: none };
/** What most parts are. */
const usual: ReadonlyMap<string, ParameterValue> = new Map(
  ["text/plain", "text/html"].flatMap((value) =>
    ["utf-8", "UTF-8"].flatMap((charset) => {
      const known = { value, params: new Map([["charset", charset]]), decoded: none };
      return [charset, `"${charset}"`].map((written) => [`${value}; charset=${written}`, known] as const);
    }),
  ),
);

/**
 * Parses such a value, given as unfolded octets: comments dropped, continuations and charsets of RFC 2231 resolved,
 * the first of two equal parameters kept. Never throws.
 */
export function parseParameters(text: string): ParameterValue {
  if (text === "") return nothing;
  const plain = usual.get(text) ?? parsePlain(text);
  if (plain !== null) return plain;
  const match = ordinary.exec(text);
  if (match === null) return parseIrregular(text);
  const params = new Map<string, string>();
  const list = match[2]!;
  if (list !== "") {
    for (const [, name, quoted, token] of list.matchAll(ordinaryParam)) {
      const key = name!.toLowerCase();
      if (!params.has(key)) params.set(key, quoted ?? token!);
    }
  }
  return { value: match[1]!.toLowerCase(), params, decoded: none };
}

/**
 * What nearly all mails have, `text/plain; charset=utf-8` and more parameters like it; `null` for everything else. Takes half
 * of the time that the expressions do, and gives the same.
 */
function parsePlain(text: string): ParameterValue | null {
  let at = plainEnd(text, 0);
  if (at === 0) return null;
  const value = text.slice(0, at).toLowerCase();
  const params = new Map<string, string>();
  while (at < text.length) {
    if (text.charCodeAt(at) !== semicolon) return null;
    const start = blanksEnd(text, at + 1);
    const equals = nameEnd(text, start);
    if (equals === start || text.charCodeAt(equals) !== equalsSign) return null;
    const isQuoted = text.charCodeAt(equals + 1) === quote;
    const from = isQuoted ? equals + 2 : equals + 1;
    const end = isQuoted ? text.indexOf('"', from) : plainEnd(text, from);
    if (end < from || (end === from && !isQuoted)) return null;
    const param = text.slice(from, end);
    if (isQuoted && param.includes("\\")) return null;
    const name = text.slice(start, equals).toLowerCase();
    if (!params.has(name)) params.set(name, param);
    at = isQuoted ? end + 1 : end;
  }
  return { value, params, decoded: none };
}

function blanksEnd(text: string, start: number): number {
  let at = start;
  while (text.charCodeAt(at) === 0x20 || text.charCodeAt(at) === 0x09) at++;
  return at;
}

/** Where `+ - . /`, letters, digits and `_` end, which may stand in any value. */
function plainEnd(text: string, start: number): number {
  let at = start;
  for (; ; at++) {
    const code = text.charCodeAt(at);
    if (!isNameCode(code) && code !== 0x2b && code !== 0x2e && code !== 0x2f) return at;
  }
}

function nameEnd(text: string, start: number): number {
  let at = start;
  while (isNameCode(text.charCodeAt(at))) at++;
  return at;
}

/** Letters, digits, `-` and `_`; false behind the end of the text. */
function isNameCode(code: number): boolean {
  return (
    (code >= 0x61 && code <= 0x7a) ||
    (code >= 0x30 && code <= 0x39) ||
    (code >= 0x41 && code <= 0x5a) ||
    code === 0x2d ||
    code === 0x5f
  );
}

function parseIrregular(text: string): ParameterValue {
  const parsed = libmime().parseHeaderValue(text, { stripComments: true });
  return {
    value: parsed.value.toLowerCase(),
    params: new Map(Object.entries(parsed.params)),
    decoded: new Set(parsed.decodedParams),
  };
}

/** A parameter as readable text: RFC 2231 or, as many mailers have it, encoded words or plain 8-bit; `null` when absent or empty. */
export function parameterText(value: ParameterValue, name: string): string | null {
  const param = value.params.get(name);
  if (param === undefined) return null;
  const text = plainLine(value.decoded.has(name) ? param : decodeWords(decodeOctets(param)));
  return text === "" ? null : text;
}
