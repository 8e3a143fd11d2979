/** The face of this room: raw bytes in, what they say out. Pure, bounded, and never the loss of a mail. */
export { decodePart, decodeText } from "./body-text.ts";
export { mimeLimits, type Defect } from "./defect.ts";
export type { HeaderField } from "./header.ts";
export { fieldAddresses, fieldName, fieldText, indexMail, type MailIndex } from "./mail-index.ts";
export type { MailAddress } from "./address-list.ts";
export type { Part } from "./part.ts";
export { MailParser } from "./parser.ts";
export { outlineMail, summarizeMail, type MailOutline, type MailSummary } from "./summary.ts";
