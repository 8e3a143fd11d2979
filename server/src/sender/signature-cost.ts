import { maxSignatures } from "./authentication.ts";

/** Longest header that signatures are looked for in. Real ones are below 32 KiB. */
const maxHeaderBytes = 128 * 1024;
/** Lines of it: what they cost is their square, 30 s for 43,000 of them. Real ones are some hundred. */
const maxHeaderLines = 2000;
/** White space in a row: its cost is its square too. Real folds are below 20. */
const maxBlankChars = 512;
/** Colons: each may name a field that a signature covers, which is looked for among all fields. */
const maxColons = 4000;
/** ARC fields of one mail: 50 sets of three (RFC 8617 section 4.2.1). */
const maxArcFields = 150;
/** Bytes that may be hashed for one mail: some 2 s in the worst case, measured at 15 ms a MB. */
const maxHashedBytes = 128 * 1024 * 1024;
/** The same where signatures cover only so much of the body, which hardly any honest one does: each is hashed apart. */
const maxHashedByLengthBytes = 32 * 1024 * 1024;
/** Lines that may be hashed for one mail: short ones cost far more than their bytes, some 2 s for so many. */
const maxHashedLines = 3_000_000;
/** Ways to hash a whole body, of which every signature uses one: two canonical forms, two digests. */
const hashKinds = 4;
/** From fields of a mail whose header is too long, as far as they are read. */
const maxFromBytes = 64 * 1024;

/**
 * `affordable`; `abusive`: built to be expensive, so its signatures count for nothing; `big`: honest for all we know, but
 * too much to hash.
 */
export type SignatureCost = "affordable" | "abusive" | "big";

/** What verifying the signatures of a mail would cost at most, from its header, its length and its lines. Linear. */
export function signatureCost(raw: Uint8Array): SignatureCost {
  const mail = bufferOf(raw);
  const headerBytes = headerEnd(mail);
  if (headerBytes > maxHeaderBytes) return "abusive";
  const header = mail.toString("latin1", 0, headerBytes);
  if (isMadeToCost(header)) return "abusive";
  const signatures = header.match(/^dkim-signature[ \t]*:/gim)?.length ?? 0;
  const arcFields = header.match(/^arc-[a-z-]{1,40}[ \t]*:/gim)?.length ?? 0;
  if (signatures > maxSignatures || arcFields > maxArcFields) return "abusive";
  const lengths = countLengths(header);
  const hashes = Math.min(signatures + (arcFields > 0 ? 1 : 0), hashKinds + lengths);
  if (lengths > 0 && hashes * mail.length > maxHashedByLengthBytes) return "abusive";
  if (hasMoreLines(mail, maxHashedLines / hashes)) return "abusive";
  return hashes * mail.length > maxHashedBytes ? "big" : "affordable";
}

/** Signatures with a length (`l=`, RFC 6376 section 3.5). */
function countLengths(header: string): number {
  const fields =
    header.match(/^(?:dkim|arc-message)-signature[ \t]*:[^]*?(?=\r\n[!-9;-~]+[ \t\r\n]*:|(?![^]))/gim) ?? [];
  return fields.filter((field) => /[:;]\s*l\s*=/i.test(field)).length;
}

function hasMoreLines(mail: Buffer, maxLines: number): boolean {
  // Most are too short for so many.
  if (mail.length <= maxLines) return false;
  let lines = 0;
  for (let at = mail.indexOf("\n"); at >= 0 && lines <= maxLines; at = mail.indexOf("\n", at + 1)) lines++;
  return lines > maxLines;
}

/** Linear. */
function isMadeToCost(header: string): boolean {
  if (countOf(header, "\n") > maxHeaderLines || countOf(header, ":") > maxColons) return true;
  return header.match(/[ \t\r\n]{64,}/g)?.some((blanks) => blanks.length > maxBlankChars) ?? false;
}

function countOf(text: string, character: string): number {
  let count = 0;
  for (let at = text.indexOf(character); at >= 0; at = text.indexOf(character, at + 1)) count++;
  return count;
}

/** A mail of nothing but the From fields of another, as far as they are neither too long nor of too many lines. Linear. */
export function fromFieldsOnly(raw: Uint8Array): Buffer {
  const mail = bufferOf(raw);
  const header = mail.toString("latin1", 0, headerEnd(mail));
  const fields: string[] = [];
  let length = 0;
  let lines = 0;
  for (const [field] of header.matchAll(/^from[ \t]*:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*/gim)) {
    length += field.length + 2;
    lines += 1 + countOf(field, "\n");
    if (length > maxFromBytes || lines > maxHeaderLines) break;
    fields.push(field);
  }
  return Buffer.from(`${fields.join("\r\n")}\r\n\r\n`, "latin1");
}

function headerEnd(mail: Buffer): number {
  const end = mail.indexOf("\r\n\r\n");
  return end < 0 ? mail.length : end + 2;
}

function bufferOf(raw: Uint8Array): Buffer {
  return Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
}
