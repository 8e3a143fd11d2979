import { parseAddresses, type MailAddress } from "./address-list.ts";
import { sortBodyParts } from "./body-parts.ts";
import type { Defect } from "./defect.ts";
import type { HeaderField } from "./header.ts";
import { rawValue, readableText } from "./header-text.ts";
import { indexParts } from "./part-index.ts";
import type { Part } from "./part.ts";

/** Where everything is in a mail, by byte offsets into its raw, which must be kept to decode anything of it. */
export interface MailIndex {
  /** The mail itself; its fields are the header of the mail. */
  readonly root: Part;
  /** What to show in turn where plain text is wanted (RFC 8621 section 4.1.4 textBody). */
  readonly text: readonly Part[];
  /** What to show in turn where HTML is wanted (htmlBody). */
  readonly html: readonly Part[];
  /** All other parts; an attached message is one, and holds its own parts. */
  readonly attachments: readonly Part[];
  readonly defects: readonly Defect[];
}

/** Takes a mail apart without decoding any body. Never throws; linear in the length of `raw`, within `mimeLimits`. */
export function indexMail(raw: Buffer): MailIndex {
  const defects = new Set<Defect>();
  const root = indexParts(raw, defects);
  return { root, ...sortBodyParts(root), defects: [...defects] };
}

/** The name of a field as it stands. */
export function fieldName(raw: Buffer, field: HeaderField): string {
  return raw.toString("latin1", field.nameStart, field.nameEnd);
}

/** The value of a field as readable text on one line, encoded words decoded (RFC 2047). Never throws. */
export function fieldText(raw: Buffer, field: HeaderField): string {
  return readableText(rawValue(raw, field, new Set()));
}

/** The mailboxes of an address field; at most its first `mimeLimits.headerValueBytes` are read. Never throws. */
export function fieldAddresses(raw: Buffer, field: HeaderField): MailAddress[] {
  return parseAddresses(rawValue(raw, field, new Set()));
}
