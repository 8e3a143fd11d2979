import assert from "node:assert/strict";
import { outlineMail, summarizeMail, type MailOutline, type MailSummary } from "../../src/mime/mime.ts";
import { placedContent } from "./placed-content.ts";

/** Asserts that an outline says of a mail what its summary says, as far as it says anything; answers it. */
export function checkedOutline(raw: Buffer): MailOutline {
  const [outline, summary] = [outlineMail(raw), summarizeMail(raw)];
  const head = ({ from, subject, received }: Pick<MailSummary, "from" | "subject" | "received">) => [
    from,
    subject,
    received,
  ];
  assert.deepEqual(head(outline), head(summary));
  const content = outline.content ?? placedContent(raw, outline);
  if (content === null) {
    const unknown = outline.defects.filter((defect) => !summary.defects.includes(defect));
    assert.deepEqual(unknown, []);
  } else {
    assert.equal(content, summary.content);
    assert.deepEqual(new Set(outline.defects), new Set(summary.defects));
  }
  return outline;
}
