import libmime from "libmime";
import { decodeCharset } from "./charset.ts";
import type { Defect } from "./defect.ts";
import { htmlToText } from "./html-text.ts";
import type { Part } from "./part.ts";
import { decodeTransfer } from "./transfer-encoding.ts";

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
  return decodeBody(raw, part, new Set());
}

function decodeBody(raw: Buffer, part: Part, defects: Set<Defect>): string {
  const bytes = decodeTransfer(raw.subarray(part.bodyStart, part.bodyEnd), part.encoding, defects);
  return decodeCharset(bytes, part.charset, defects);
}

/**
 * The text of a part as a person would read it: HTML turned into text, flowed lines joined (RFC 3676), line ends `\n`,
 * no NUL, no white space at the end.
 */
export function readPartText(raw: Buffer, part: Part, defects: Set<Defect>): string {
  const decoded = decodeBody(raw, part, defects);
  if (part.type === "text/html") return htmlToText(decoded, defects);
  const lines = normalLines(decoded);
  return (part.flowed ? libmime.decodeFlowed(lines, part.delSp) : lines).trimEnd();
}

function normalLines(text: string): string {
  let lines = text.includes("\r\n") ? text.replaceAll("\r\n", "\n") : text;
  if (lines.includes("\r")) lines = lines.replaceAll("\r", "\n");
  return lines.includes("\u0000") ? lines.replaceAll("\u0000", "\ufffd") : lines;
}
