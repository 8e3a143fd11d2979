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
const none: ReadonlySet<string> = new Set();
const nothing: ParameterValue = { value: "", params: new Map(), decoded: none };

/**
 * Parses such a value, given as unfolded octets: comments dropped, continuations and charsets of RFC 2231 resolved,
 * the first of two equal parameters kept. Never throws.
 */
export function parseParameters(text: string): ParameterValue {
  if (text === "") return nothing;
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
