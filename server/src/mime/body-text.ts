import { decodeCharset, isPlainUtf8, isUsualUtf8 } from "./charset.ts";
import { mimeLimits, type Defect } from "./defect.ts";
import { htmlToText } from "./html-text.ts";
import type { Part } from "./part.ts";
import { libmime } from "./rare-decoders.ts";
import { decodeTransfer, isIdentity } from "./transfer-encoding.ts";

const LF = 0x0a;
/** More than any charset needs for a character, in text that means something. */
const bytesPerChar = 8;
/** Charsets that need no more than this, also where a line end of two octets becomes one character. */
const thriftyCharset = /^(?:utf-?8|us-ascii|iso-8859-\d+|windows-\d+)$/i;
const thriftyBytesPerChar = 3;

/**
 * The bytes of a part, its transfer encoding undone: an attachment as it was attached. `raw` and `part` belong together.
 * Where nothing is encoded this is a view of `raw`, so it must not be written to. Never throws; linear.
 */
export function decodePart(raw: Buffer, part: Part): Buffer {
  return decodeTransfer(raw.subarray(part.bodyStart, part.bodyEnd), part.encoding, new Set());
}

/**
 * The text of a part as it was written, HTML as HTML: transfer encoding and charset undone, line ends and flow kept.
 * Always well-formed. Never throws; linear.
 */
export function decodeText(raw: Buffer, part: Part): string {
  return decodeBody(raw, part, part.bodyEnd, new Set());
}

function decodeBody(raw: Buffer, part: Part, bodyEnd: number, defects: Set<Defect>): string {
  const bytes = decodeTransfer(raw.subarray(part.bodyStart, bodyEnd), part.encoding, defects);
  return decodeCharset(bytes, part.charset, defects);
}

/** Bytes of a mail whose UTF-8 is a text, with CRLF, LF or CR for each line end. */
export interface TextPlace {
  readonly start: number;
  readonly end: number;
}

/** A text, and where it stands in its mail. */
export interface PlacedText {
  readonly text: string;
  /** `null`: something had to be decoded, joined or replaced. */
  readonly place: TextPlace | null;
}

/**
 * The text of a part as a person would read it: HTML turned into text, flowed lines joined (RFC 3676), line ends `\n`,
 * no NUL, no white space at the end.
 */
export function readPartText(raw: Buffer, part: Part, defects: Set<Defect>): PlacedText {
  if (part.type === "text/html") {
    return { text: htmlToText(decodeBody(raw, part, part.bodyEnd, defects), defects), place: null };
  }
  const bodyEnd = enoughOf(raw, part);
  if (bodyEnd < part.bodyEnd) defects.add("content_too_long");
  const bytes = decodeTransfer(raw.subarray(part.bodyStart, bodyEnd), part.encoding, defects);
  const decoded = decodeCharset(bytes, part.charset, defects);
  // Half the cost of `replaceAll` (measured).
  const lines = decoded.replace(/\r\n/g, "\n");
  const hasNul = lines.includes("\u0000");
  const isClean = !hasNul && !lines.includes("\r");
  const normal = isClean ? lines : lines.replaceAll("\r", "\n").replaceAll("\u0000", "\ufffd");
  if (part.flowed) return { text: libmime().decodeFlowed(normal, part.delSp).trimEnd(), place: null };
  const isVerbatim = !hasNul && isIdentity(part.encoding) && isPlainUtf8(bytes, part.charset);
  const start = part.bodyStart;
  const place = isVerbatim ? { start, end: start + Buffer.byteLength(decoded.trimEnd()) } : null;
  return { text: normal.trimEnd(), place };
}

/**
 * Where {@link readPartText} would find the text of a part, without making it; `null` where it would find none, or it costs more to
 * know. A part of which this answers a place has no defect in its body.
 */
export function placeOfText(raw: Buffer, part: Part): TextPlace | null {
  if (part.type === "text/html" || part.flowed || !isIdentity(part.encoding)) return null;
  const { bodyStart: start, bodyEnd } = part;
  const bytes = raw.subarray(start, bodyEnd);
  if (bytes.length > mimeLimits.contentChars || bytes.includes(0) || !isUsualUtf8(bytes, part.charset)) return null;
  let end = bodyEnd;
  while (end > start && isAsciiSpace(raw[end - 1]!)) end--;
  // A character has four octets at the most; what is before the last one may be broken here.
  const endsPlainly = end === start || raw[end - 1]! < 0x80 || !/\s$/.test(raw.toString("utf8", end - 4, end));
  return endsPlainly ? { start, end } : null;
}

function isAsciiSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

/**
 * Where the bytes end of which more text is made than is ever kept, at the end of a line, because neither a character nor
 * an encoded one goes over it. Nothing is gained by decoding the rest of a very long text, and memory is.
 */
function enoughOf(raw: Buffer, { bodyStart, bodyEnd, encoding, charset, flowed }: Part): number {
  const widest = encoding === "quoted-printable" ? 3 : encoding === "base64" ? 1.5 : 1;
  // Flowed text may lose whole line ends.
  const isThrifty = !flowed && thriftyCharset.test(charset ?? "us-ascii");
  const perChar = isThrifty ? thriftyBytesPerChar : bytesPerChar;
  const enough = bodyStart + mimeLimits.contentChars * perChar * widest;
  if (enough >= bodyEnd) return bodyEnd;
  const lineEnd = raw.indexOf(LF, enough) + 1;
  return lineEnd === 0 ? bodyEnd : Math.min(lineEnd, bodyEnd);
}
