import assert from "node:assert/strict";
import { summarizeHeader, summarizeWithin } from "../../../src/mime/summary.ts";
import { mimeLimits, summarizeMail, type MailSummary } from "../../../src/mime/mime.ts";
import { assertText, mailSeeds, type Target } from "../target.ts";
import { checkedOutline } from "../../support/outline-check.ts";
import { placedContent } from "../../support/placed-content.ts";
import { mailWords } from "./mail-parts.ts";

function checkSummary({ from, subject, content, defects }: MailSummary, bytes: number): void {
  assertText(from, 320);
  assertText(subject, 2 * bytes + 16);
  assertText(content, Math.min(4 * bytes + 16, mimeLimits.contentChars));
  assert.doesNotMatch(from + subject, /[\u0000-\u001f]/);
  assert.ok(!content.includes("\u0000") && content === content.trimEnd());
  assert.ok(!defects.includes("parse_failed"), "nothing throws inside");
}

export const mailSummary: Target = {
  name: "mail-summary",
  promise:
    "every mail has a summary of well-formed text, bounded and the same each time, and an outline that agrees with it",
  seeds: mailSeeds,
  words: mailWords,
  check(input) {
    const summary = summarizeMail(input);
    checkSummary(summary, input.length);
    const header = summarizeHeader(input, "parse_timeout");
    checkSummary(header, input.length);
    assert.equal(header.subject, summary.subject);
    for (const maxBytes of [0, 64, 256, 1024]) {
      const short = summarizeWithin(input, maxBytes);
      if (short !== null) assert.deepEqual(short, summary);
    }
    assert.deepEqual(summarizeWithin(input, 4 * input.length + 64), summary);
    assert.ok([summary.content, null].includes(placedContent(input, summary)), "content stands where it is said to");
    checkedOutline(input);
    if (input.length < 256) assert.deepEqual(summarizeMail(Buffer.concat([Buffer.of(1), input]).subarray(1)), summary);
  },
};
