import type { ContentPlace, NewMail } from "../store.ts";

/** Longer mails are not kept in one piece. */
const maxRawBytes = 256 * 1024;
/** A list reads all of a mail to show its content: what else is in it may be so much, or as much as the content. */
const maxOtherBytes = 8 * 1024;

/** Where to find the content of a mail in its raw bytes, if it is not to be stored a second time. Where content is not known it may be there or nowhere. */
export function placeInRaw({ raw, contentAt }: Pick<NewMail, "raw" | "contentAt">): ContentPlace | null {
  if (contentAt === undefined || contentAt === null || raw.length > maxRawBytes) return null;
  const bytes = contentAt.end - contentAt.start;
  return bytes > 0 && raw.length - bytes <= Math.max(maxOtherBytes, bytes) ? contentAt : null;
}

/**
 * SQL of three columns that say the content of a message: its text, whether that is a part of raw (then not `NULL`), for
 * {@link contentOf}, and where the content has not been read the raw bytes to read it from.
 */
export const contentColumns = `CASE WHEN g.content_start IS NULL THEN g.content
  WHEN g.raw IS NOT NULL THEN CAST(substr(g.raw, g.content_start + 1, g.content_end - g.content_start) AS TEXT)
  WHEN g.raw_file IS NOT NULL
    THEN CAST(raw_bytes(g.raw_file, g.raw_at + g.content_start, g.content_end - g.content_start) AS TEXT)
  ELSE (SELECT CAST(substr(bytes, g.content_start + 1, g.content_end - g.content_start) AS TEXT) FROM raw
    WHERE message_id = g.id) END AS content, g.content_start,
  CASE WHEN g.unparsed IS NULL THEN NULL WHEN g.raw_file IS NOT NULL THEN raw_bytes(g.raw_file, g.raw_at, g.raw_size)
  ELSE (SELECT bytes FROM raw WHERE message_id = g.id) END AS unparsed`;

/** The content of a message, from its {@link contentColumns}. */
export function contentOf(content: string, contentStart: number | null): string {
  if (contentStart === null) return content;
  const lines = content.replace(/\r\n/g, "\n");
  return lines.includes("\r") ? lines.replaceAll("\r", "\n") : lines;
}
