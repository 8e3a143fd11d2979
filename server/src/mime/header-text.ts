import { isUtf8 } from "node:buffer";
import { mimeLimits, type Defect } from "./defect.ts";
import type { HeaderField } from "./header.ts";
import { libmime } from "./rare-decoders.ts";

/**
 * The value of a field as it stands, unfolded (RFC 5322 section 2.2.3) and trimmed, one character per octet. Cut at
 * `maxBytes`, with a defect.
 */
export function rawValue(
  raw: Buffer,
  field: HeaderField,
  defects: Set<Defect>,
  maxBytes: number = mimeLimits.headerValueBytes,
): string {
  let end = field.valueEnd;
  if (end - field.valueStart > maxBytes) {
    end = field.valueStart + maxBytes;
    defects.add("header_value_too_long");
  }
  const text = raw.toString("latin1", field.valueStart, end);
  return (text.includes("\n") ? text.replace(/\r*\n/g, "") : text).trim();
}

/**
 * Readable text out of what {@link rawValue} gives: octets above ASCII read as UTF-8 where they are, else as
 * windows-1252; encoded words decoded (RFC 2047); control characters turned into spaces. Always well-formed.
 */
export function readableText(value: string): string {
  // Three more looks at the text would find nothing.
  if (/^[ -~]*$/.test(value) && !value.includes("=?")) return value.trim();
  return plainLine(decodeWords(decodeOctets(value)));
}

/** Reads one character per octet as UTF-8 (RFC 6532) where it is valid, else as windows-1252. */
export function decodeOctets(value: string): string {
  if (!/[\u0080-\u00ff]/.test(value)) return value;
  const bytes = Buffer.from(value, "latin1");
  return isUtf8(bytes) ? bytes.toString("utf8") : new TextDecoder("windows-1252").decode(bytes);
}

/** Decodes the encoded words of RFC 2047; adjacent ones are joined first, as they may share a character. */
export function decodeWords(text: string): string {
  // libmime marks its joints with NUL, so none may come from outside.
  return text.includes("=?") ? libmime().decodeWords(text.replaceAll("\u0000", " ")) : text;
}

/** One line of well-formed text: control characters and line separators become spaces, ends are trimmed. */
export function plainLine(text: string): string {
  return (
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text)
      ? text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, " ")
      : text
  )
    .trim()
    .toWellFormed();
}
