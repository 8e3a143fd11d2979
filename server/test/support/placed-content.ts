import type { MailSummary } from "../../src/mime/mime.ts";

/** What stands where a summary or an outline says that the content stands; `null` where it says nothing. */
export function placedContent(raw: Buffer, { contentAt }: Pick<MailSummary, "contentAt">): string | null {
  if (contentAt === null) return null;
  return raw.toString("utf8", contentAt.start, contentAt.end).replaceAll(/\r\n?/g, "\n");
}
