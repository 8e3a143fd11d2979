import { isInline, isMultipart } from "./body-parts.ts";
import { placeOfText, readPartText, type PlacedText, type TextPlace } from "./body-text.ts";
import type { Defect } from "./defect.ts";
import type { Part } from "./part.ts";

/**
 * The text of a mail as a person would read it: its body parts in order, joined by a line end. Of an alternative
 * (RFC 2046 section 5.1.4) the plain text where it is not blank, else the richest form that can be read; of a
 * multipart/related its root (RFC 2387). Attachments and attached messages are left out. Each part is decoded once.
 * `null` when more than `maxBytes` of the mail would have to be decoded; no more than that is.
 */
export function readContent(raw: Buffer, root: Part, defects: Set<Defect>, maxBytes: number): PlacedText | null {
  if (root.parts.length === 0) {
    if (!isReadable(root)) return { text: "", place: null };
    return root.bodyEnd - root.bodyStart > maxBytes ? null : readPartText(raw, root, defects);
  }
  let bytesLeft = maxBytes;
  const decoded = new Map<Part, string>();
  const reader: LeafReader = (part) => {
    const known = decoded.get(part);
    if (known !== undefined) return known;
    bytesLeft -= part.bodyEnd - part.bodyStart;
    const text = bytesLeft < 0 ? "" : readPartText(raw, part, defects).text;
    decoded.set(part, text);
    return text;
  };
  const text = readMultipart(root, reader, false);
  return bytesLeft < 0 ? null : { text, place: null };
}

/** Where {@link readContent} would find the text of a mail of one part, see {@link placeOfText}. */
export function placeOfContent(raw: Buffer, root: Part): TextPlace | null {
  return isReadable(root) ? placeOfText(raw, root) : null;
}

type LeafReader = (part: Part) => string;

/** A mail of one part is read when it is any kind of text. */
function isReadable(root: Part): boolean {
  return root.type.startsWith("text/") && root.disposition !== "attachment";
}

function readMultipart(multipart: Part, read: LeafReader, plainOnly: boolean): string {
  if (!isMultipart(multipart)) return "";
  if (multipart.type === "multipart/alternative") return readAlternative(multipart, read, plainOnly);
  if (multipart.type === "multipart/related") return readChild(multipart, rootPosition(multipart), read, plainOnly);
  const texts: string[] = [];
  for (let position = 0; position < multipart.parts.length; position++) {
    const text = readChild(multipart, position, read, plainOnly);
    if (text !== "") texts.push(text);
  }
  return texts.join("\n");
}

function readAlternative(multipart: Part, read: LeafReader, plainOnly: boolean): string {
  for (let position = 0; position < multipart.parts.length; position++) {
    const text = readChild(multipart, position, read, true);
    if (text !== "") return text;
  }
  if (plainOnly) return "";
  // RFC 2046 section 5.1.4: the last one is the richest.
  for (let position = multipart.parts.length - 1; position >= 0; position--) {
    const text = readChild(multipart, position, read, false);
    if (text !== "") return text;
  }
  return "";
}

function readChild(parent: Part, position: number, read: LeafReader, plainOnly: boolean): string {
  const part = parent.parts[position]!;
  if (part.type.startsWith("multipart/")) return readMultipart(part, read, plainOnly);
  const isText = part.type === "text/plain" || (!plainOnly && part.type === "text/html");
  // The root of a multipart/related is its body wherever it stands.
  const place = parent.type === "multipart/related" ? 0 : position;
  return isText && isInline(part, place, parent.type) ? read(part) : "";
}

function rootPosition(related: Part): number {
  const named = related.start === null ? -1 : related.parts.findIndex((part) => part.contentId === related.start);
  return Math.max(named, 0);
}
