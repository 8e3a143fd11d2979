import type { Part } from "./part.ts";

/** The parts of a mail by their use, in the order in which they stand. */
export interface BodyParts {
  /** To be shown in turn where plain text is wanted; holds HTML only where there is no plain text for it. */
  readonly text: Part[];
  /** The same where HTML is wanted. */
  readonly html: Part[];
  /** All others, attached messages included. */
  readonly attachments: Part[];
}

/**
 * Sorts the parts as RFC 8621 section 4.1.4 does, but for one thing: media are always attachments, as nothing here can
 * show them. Attached messages are not looked into.
 */
export function sortBodyParts(root: Part): BodyParts {
  const sorted: BodyParts = { text: [], html: [], attachments: [] };
  sortParts(
    [root],
    { kind: "multipart/mixed", inAlternative: false, text: sorted.text, html: sorted.html },
    sorted.attachments,
  );
  return sorted;
}

interface Place {
  readonly kind: string;
  readonly inAlternative: boolean;
  /** `null` where the list belongs to another branch of the alternative. */
  readonly text: Part[] | null;
  readonly html: Part[] | null;
}

function sortParts(parts: readonly Part[], place: Place, attachments: Part[]): void {
  const textBefore = place.text?.length ?? -1;
  const htmlBefore = place.html?.length ?? -1;
  let { text, html } = place;
  for (const [position, part] of parts.entries()) {
    if (isMultipart(part)) {
      const inAlternative = place.inAlternative || part.type === "multipart/alternative";
      sortParts(part.parts, { kind: part.type, inAlternative, text, html }, attachments);
    } else if (!isInline(part, position, place.kind)) {
      attachments.push(part);
    } else if (place.kind === "multipart/alternative") {
      const list = part.type === "text/plain" ? text : part.type === "text/html" ? html : attachments;
      list?.push(part);
    } else {
      if (place.inAlternative && part.type === "text/plain") html = null;
      if (place.inAlternative && part.type === "text/html") text = null;
      text?.push(part);
      html?.push(part);
    }
  }
  if (place.kind !== "multipart/alternative" || place.text === null || place.html === null) return;
  // Only one form of the alternative is there, so it has to serve for both.
  if (textBefore === place.text.length && htmlBefore !== place.html.length)
    place.text.push(...place.html.slice(htmlBefore));
  if (htmlBefore === place.html.length && textBefore !== place.text.length)
    place.html.push(...place.text.slice(textBefore));
}

/** Whether a part is body rather than attachment; the first of a multipart is so even when it has a file name. */
export function isInline(part: Part, position: number, parentType: string): boolean {
  if (part.disposition === "attachment" || (part.type !== "text/plain" && part.type !== "text/html")) return false;
  return position === 0 || (parentType !== "multipart/related" && !part.isNamed);
}

/** A multipart that was taken apart; one that could not be is a leaf. */
export function isMultipart(part: Part): boolean {
  return part.parts.length > 0 && part.type.startsWith("multipart/");
}
