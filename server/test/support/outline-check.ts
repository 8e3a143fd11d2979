import assert from "node:assert/strict";
import { outlineMail, summarizeMail, type MailOutline } from "../../src/mime/mime.ts";
import { placedContent } from "./placed-content.ts";

/** Asserts that an outline says of a mail what its summary says, as far as it says anything; answers it. */
export function checkedOutline(raw: Buffer): MailOutline {
  const [outline, summary] = [outlineMail(raw), summarizeMail(raw)];
  assert.deepEqual([outline.from, outline.subject], [summary.from, summary.subject]);
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
