import assert from "node:assert/strict";
import { decodePart, decodeText, indexMail, mimeLimits, type Part } from "../../../src/mime/mime.ts";
import { assertText, mailSeeds, type Target } from "../target.ts";

/** What a mail is made of, for runs that look like one. */
export const mailWords = [
  "Content-Type: multipart/mixed; boundary=a",
  "Content-Type: multipart/alternative; boundary=b",
  "Content-Type: multipart/related; boundary=a",
  "Content-Type: message/rfc822",
  "Content-Type: text/html; charset=",
  "Content-Type: text/plain; format=flowed",
  "Content-Disposition: attachment; filename*0*=utf-8''%e4",
  "Content-Transfer-Encoding: base64",
  "Content-Transfer-Encoding: quoted-printable",
  "utf-16",
  "iso-2022-jp",
  "From: a@b.example",
  "Subject: =?utf-8?q?=C3?=",
  "\r\n",
  "\r\n\r\n",
  "\n\n",
  "--a",
  "--b",
  "--a--",
  "<p>",
  "QQ==",
  "=\r\n",
  "\u0000",
  "\u00ff",
];

function countParts(part: Part, length: number): number {
  assert.ok(part.headerStart >= 0 && part.headerStart <= part.bodyStart && part.bodyStart <= part.bodyEnd);
  assert.ok(part.bodyEnd <= length);
  let count = 1;
  let after = part.bodyStart;
  for (const child of part.parts) {
    assert.ok(
      child.headerStart >= after && child.bodyEnd <= part.bodyEnd,
      "parts lie in their part, one after the other",
    );
    after = child.bodyEnd;
    count += countParts(child, length);
  }
  return count;
}

export const mailParts: Target = {
  name: "mail-parts",
  promise: "parts lie inside each other and the mail, within the caps, and decode to no more than there is",
  seeds: mailSeeds,
  words: mailWords,
  check(input) {
    const before = Buffer.from(input);
    const { root, text, html, attachments } = indexMail(input);
    // A message or multipart that is one too many is still a leaf.
    assert.ok(countParts(root, input.length) <= mimeLimits.parts + 1);
    for (const part of new Set([root, ...text, ...html, ...attachments])) {
      const size = part.bodyEnd - part.bodyStart;
      assert.ok(decodePart(input, part).length <= size);
      assertText(decodeText(input, part), 2 * size + 16);
      assertText(part.filename ?? "", 2 * input.length + 16);
      assertText(part.contentId ?? "", 2 * input.length + 16);
    }
    assert.ok(before.equals(input), "the mail is as it was");
  },
};
