import { fixedBytes } from "../freed-bytes.ts";
import { firstAddress } from "./address-list.ts";
import { placeOfContent, readContent } from "./content.ts";
import { mimeLimits, type Defect } from "./defect.ts";
import { countFields, findField, scanHeader, type HeaderField } from "./header.ts";
import { rawValue, readableText } from "./header-text.ts";
import { readPart } from "./part.ts";
import { indexFewParts } from "./part-index.ts";

/** What the lists and the feed show of a mail. All strings are well-formed. */
export interface MailSummary {
  /** The first address of the From header, as it stands there and never decoded; "" when there is none. */
  readonly from: string;
  /** Decoded, on one line, without control characters; "" when there is none. */
  readonly subject: string;
  /** The text of the mail as a person would read it, line ends `\n`, no white space at the end; see `mimeLimits.contentChars`. */
  readonly content: string;
  /**
   * The bytes of the mail whose UTF-8 is the content, with CRLF, LF or CR for each line end; `null` where something had to be decoded,
   * joined, replaced or cut for it.
   */
  readonly contentAt: { readonly start: number; readonly end: number } | null;
  /** How many `Received` fields its header has, for loop detection (RFC 5321 section 6.3). */
  readonly received: number;
  /** What was wrong with the mail, see {@link Defect}. */
  readonly defects: readonly Defect[];
}

/** A summary of which nobody has read the content. */
export interface MailOutline extends Omit<MailSummary, "content"> {
  /** `null`: it stands at {@link contentAt}, or is for {@link summarizeMail} to read, together with all defects. */
  readonly content: string | null;
}

/** The content of a mail of this size is read at once: that costs less than to come back for it. */
const quickBytes = 8 * 1024;
/** Octets of the From header that are looked at for the first address; a longer list only costs time. */
const fromBytes = 2048;
/** Octets of the Subject header that are read. */
const subjectBytes = 8192;

/**
 * Reads a mail. Never throws, does not change `raw`, and takes time linear in its length: some 10 ms for the
 * worst 32 KiB, seconds for the worst 25 MiB, which is what `MailParser` is for.
 */
export function summarizeMail(raw: Uint8Array): MailSummary {
  return summarizeWithin(raw, Infinity) ?? summarizeHeader(raw, "parse_failed");
}

/**
 * The same for a mail of which little has to be read, as one whose length is that of its attachments, or of HTML beside its
 * text; `null` where that is more than `maxBytes`, or its headers are. Costs as much as a mail of twice that length, and
 * for each octet that is passed over 5 ns at the worst, 0.1 ns in lines of base64.
 */
export function summarizeWithin(raw: Uint8Array, maxBytes: number): MailSummary | null {
  const bytes = asBuffer(raw);
  const defects = new Set<Defect>();
  try {
    const root = indexFewParts(bytes, defects, maxBytes);
    if (root === null) return null;
    const head = summarizeFields(bytes, root.fields, defects);
    const read = readContent(bytes, root, defects, maxBytes);
    if (read === null) return null;
    const content = cutContent(read.text, defects);
    const contentAt = content.length === read.text.length ? read.place : null;
    return { ...head, content, contentAt, defects: [...defects] };
  } catch {
    return summarizeHeader(raw, "parse_failed");
  }
}

/**
 * Reads the header of a mail and leaves its content alone: where that stands in the mail as it is, it is found, and where it would have
 * to be decoded, it is not read, unless the mail is small. Never throws; costs as much as the header, and 0.1 ns for each octet of
 * plain text.
 */
export function outlineMail(raw: Uint8Array): MailOutline {
  const bytes = asBuffer(raw);
  const defects = new Set<Defect>();
  try {
    const block = scanHeader(bytes, 0, null, defects);
    const { part } = readPart(bytes, 0, block, { fallbackType: "text/plain", defects });
    const isText = part.type.startsWith("text/");
    if (!isText && bytes.length <= quickBytes) return summarizeMail(raw);
    const head = summarizeFields(bytes, part.fields, defects);
    const contentAt = isText ? placeOfContent(bytes, part) : null;
    const read = contentAt === null && bytes.length <= quickBytes ? readContent(bytes, part, defects, Infinity) : null;
    return { ...head, content: read?.text ?? null, contentAt, defects: [...defects] };
  } catch {
    return { ...summarizeHeader(raw, "parse_failed"), content: null };
  }
}

function cutContent(content: string, defects: Set<Defect>): string {
  const { contentChars } = mimeLimits;
  if (content.length <= contentChars) return content;
  defects.add("content_too_long");
  const splitsPair = content.codePointAt(contentChars - 1)! > 0xffff;
  return content.slice(0, splitsPair ? contentChars - 1 : contentChars).trimEnd();
}

/** Reads only the header of a mail, at most `mimeLimits.headerBytes` of it; `reason` says why. Never throws. */
export function summarizeHeader(raw: Uint8Array, reason: Defect): MailSummary {
  const bytes = fixedBytes(asBuffer(raw).subarray(0, mimeLimits.headerBytes));
  const defects = new Set<Defect>([reason]);
  try {
    const head = summarizeFields(bytes, scanHeader(bytes, 0, null, defects).fields, defects);
    return { ...head, content: "", contentAt: null, defects: [...defects] };
  } catch {
    return { from: "", subject: "", received: 0, content: "", contentAt: null, defects: [reason] };
  }
}

function summarizeFields(
  raw: Buffer,
  fields: readonly HeaderField[],
  defects: Set<Defect>,
): Pick<MailSummary, "from" | "subject" | "received"> {
  const from = findField(raw, fields, "from");
  const subject = findField(raw, fields, "subject");
  return {
    from: from === null ? "" : firstAddress(rawValue(raw, from, defects, fromBytes)),
    subject: subject === null ? "" : readableText(rawValue(raw, subject, defects, subjectBytes)),
    received: countFields(raw, fields, "received"),
  };
}

function asBuffer(raw: Uint8Array): Buffer {
  return Buffer.isBuffer(raw) ? raw : Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
}
