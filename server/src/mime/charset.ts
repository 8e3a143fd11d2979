import { TextDecoder } from "node:util";
import { isAscii, isUtf8 } from "node:buffer";
import type { Defect } from "./defect.ts";
import { decodeLegacy, libmime } from "./rare-decoders.ts";
import { decodeUtf7 } from "./utf7.ts";

/** The byte order mark in UTF-8. */
const mark = Buffer.from("\ufeff");
/** Charsets in which an octet below 0x80 may not be the ASCII character it looks like. */
const notAsciiBased = /^(?:utf-?7|unicode-1-1-utf-7|utf-?16|utf-?32|ucs-|iso-2022|csiso2022|hz-gb|jis)/;

/**
 * Bytes as text. Charsets by the WHATWG Encoding Standard, older ones through libmime, UTF-7 by ourselves. No charset
 * or `us-ascii` is UTF-8 where the bytes are valid UTF-8, else windows-1252; so is an unknown one, with a defect.
 * The text is always well-formed and without a byte order mark. Never throws; linear.
 */
export function decodeCharset(bytes: Buffer, charset: string | null, defects: Set<Defect>): string {
  const label = charset?.toLowerCase() ?? "us-ascii";
  if (isAscii(bytes) && !notAsciiBased.test(label)) {
    if (!isKnown(label)) defects.add("unknown_charset");
    return bytes.toString("latin1");
  }
  if (label === "utf-8" || label === "utf8") return decodeUtf8(bytes);
  if (label === "us-ascii" || label === "ascii") return decodeUndeclared(bytes);
  if (/^(?:unicode-1-1-)?utf-?7$/.test(label)) return decodeUtf7(bytes.toString("latin1"));
  const decoder = decoderFor(label);
  if (decoder !== null) return decoder.decode(bytes).toWellFormed();
  if (libmime().createDecodeStream(label).supported) return withoutMark(decodeLegacy(bytes, label)).toWellFormed();
  defects.add("unknown_charset");
  return decodeUndeclared(bytes);
}

/** Charsets that make of ASCII, and of UTF-8, the same text as UTF-8 does. */
const likeUtf8 = /^(?:utf-?8|us-ascii|ascii)$/;

/** True where {@link decodeCharset} decodes nothing: what it makes of these bytes is the text whose UTF-8 they are. */
export function isPlainUtf8(bytes: Buffer, charset: string | null): boolean {
  const label = charset?.toLowerCase() ?? "us-ascii";
  if (isAscii(bytes)) return !notAsciiBased.test(label);
  return likeUtf8.test(label) && isUtf8(bytes) && !bytes.subarray(0, mark.length).equals(mark);
}

const usualCharset = /^(?:utf-?8|us-ascii|ascii|iso-8859-1)$/;

/** The same, and nothing is wrong with the charset; false also for what would have to be looked up. */
export function isUsualUtf8(bytes: Buffer, charset: string | null): boolean {
  return usualCharset.test(charset?.toLowerCase() ?? "us-ascii") && isPlainUtf8(bytes, charset);
}

function isKnown(label: string): boolean {
  return (
    label === "us-ascii" ||
    label === "utf-8" ||
    label === "iso-8859-1" ||
    decoderFor(label) !== null ||
    libmime().createDecodeStream(label).supported
  );
}

/** `null` for what the platform does not decode. UTF-16 without a byte order goes to libmime, which looks for a mark. */
function decoderFor(label: string): TextDecoder | null {
  if (label === "utf-16" || label === "utf16") return null;
  for (const name of [label, libmime().normalizeCharset(label)]) {
    try {
      return new TextDecoder(name);
    } catch {
      // Not a label of the standard; the next name may be.
    }
  }
  return null;
}

function decodeUndeclared(bytes: Buffer): string {
  return isUtf8(bytes) ? decodeUtf8(bytes) : new TextDecoder("windows-1252").decode(bytes);
}

function decodeUtf8(bytes: Buffer): string {
  return withoutMark(bytes.toString("utf8"));
}

function withoutMark(text: string): string {
  return text.startsWith("\ufeff") ? text.slice(1) : text;
}
