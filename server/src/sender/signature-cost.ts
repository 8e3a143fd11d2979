import { maxSignatures } from "./authentication.ts";

/** Longest header that signatures are looked for in; the cost of some is its square. Real ones are below 32 KiB. */
const maxHeaderBytes = 128 * 1024;
/** ARC fields of one mail: 50 sets of three (RFC 8617 section 4.2.1). */
const maxArcFields = 150;
/** Bytes that may be hashed for one mail, over all its signatures: some 2 s in the worst case, measured at 15 ms a MB. */
const maxHashedBytes = 128 * 1024 * 1024;
/** From fields of a mail whose header is too long, as far as they are read. */
const maxFromBytes = 64 * 1024;

/**
 * `affordable`; `abusive`: built to be expensive, so its signatures count for nothing; `big`: honest for all we know, but
 * too much to hash.
 */
export type SignatureCost = "affordable" | "abusive" | "big";

/** What verifying the signatures of a mail would cost, from its header alone. Linear. */
export function signatureCost(raw: Uint8Array): SignatureCost {
  const mail = bufferOf(raw);
  const headerBytes = headerEnd(mail);
  if (headerBytes > maxHeaderBytes) return "abusive";
  const header = mail.toString("latin1", 0, headerBytes);
  const signatures = header.match(/^dkim-signature[ \t]*:/gim)?.length ?? 0;
  const arcFields = header.match(/^arc-[a-z-]{1,40}[ \t]*:/gim)?.length ?? 0;
  if (signatures > maxSignatures || arcFields > maxArcFields) return "abusive";
  return (signatures + (arcFields > 0 ? 1 : 0)) * mail.length > maxHashedBytes ? "big" : "affordable";
}

/** A mail of nothing but the From fields of another. Linear. */
export function fromFieldsOnly(raw: Uint8Array): Buffer {
  const mail = bufferOf(raw);
  const header = mail.toString("latin1", 0, headerEnd(mail));
  const fields: string[] = [];
  let length = 0;
  for (const [field] of header.matchAll(/^from[ \t]*:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*/gim)) {
    length += field.length + 2;
    if (length > maxFromBytes) break;
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
