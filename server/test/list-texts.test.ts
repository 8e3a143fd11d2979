import assert from "node:assert/strict";
import { test } from "node:test";
import { timeFormatter } from "../src/clock.ts";
import { ListTexts } from "../src/http/list-texts.ts";
import type { MailRecord } from "../src/mail/reading.ts";

/** A mail as it comes from memory. */
function keptMail(id: number, content = `Größe ${id}`): MailRecord {
  const [mailFrom, mailTo] = ["a@b.test", "c@d.test"];
  return { isKept: true, id, mailboxId: 1, mailFrom, mailTo, subject: `${id}`, content, receivedAtMs: 0 };
}

function idsIn(answer: Buffer): number[] {
  const { success, count, data } = JSON.parse(answer.toString()) as {
    success: boolean;
    count: number;
    data: { id: number }[];
  };
  assert.deepEqual([success, count], [true, data.length]);
  return data.map(({ id }) => id);
}

test("a page that is asked for again is not written again, and one that only begins like it is another", () => {
  const texts = new ListTexts(timeFormatter("UTC"));
  const [three, two, one] = [keptMail(3), keptMail(2), keptMail(1)];
  const answer = texts.of([three, two, one]);
  assert.deepEqual(idsIn(answer), [3, 2, 1]);
  assert.equal(texts.of([three, two, one]), answer);
  assert.deepEqual(idsIn(texts.of([three, two])), [3, 2]);
  assert.deepEqual(idsIn(texts.of([three, one])), [3, 1], "a mail between them is gone");
  assert.deepEqual(idsIn(texts.of([])), []);
  const { isKept: _, ...fresh } = keptMail(4);
  assert.deepEqual(idsIn(texts.of([fresh, three, two, one])), [4, 3, 2, 1]);
});

test("pages are kept up to a number and a length", () => {
  const texts = new ListTexts(timeFormatter("UTC"));
  const pages = Array.from({ length: 70 }, (_, index) => [keptMail(index + 1)]);
  const answers = pages.map((page) => texts.of(page));
  const isKept = (index: number): boolean => texts.of(pages[index] ?? []) === answers[index];
  assert.deepEqual([69, 6, 0].map(isKept), [true, true, false]);
  const long = [keptMail(100, "x".repeat(70_000))];
  assert.notEqual(texts.of(long), texts.of(long));
});
