import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { decodePart, decodeText, indexMail, summarizeMail, type Part } from "../src/mime/mime.ts";
import { mailFiles } from "./support/corpora.ts";
import { hostileMails, mutate } from "./support/hostile-mails.ts";
import { Random } from "./support/random.ts";
import { assertLinear } from "./support/thread-time.ts";

/** Everything the face does with a mail; throws if any of it is not what it promises. */
function exercise(raw: Buffer): void {
  const { from, subject, content } = summarizeMail(raw);
  assert.ok([from, subject, content].every((text) => text.isWellFormed() && !text.includes("\u0000")));
  assert.equal(content, content.trimEnd());
  assert.doesNotMatch(from + subject, /[\u0000-\u001f]/);
  const { root, text, html, attachments } = indexMail(raw);
  for (const part of [root, ...text, ...html, ...attachments]) {
    assertInside(part, raw.length);
    decodePart(raw, part);
    assert.ok(decodeText(raw, part).isWellFormed());
    assert.ok(part.filename?.isWellFormed() ?? true);
  }
}

function assertInside(part: Part, length: number): void {
  assert.ok(part.headerStart >= 0 && part.headerStart <= part.bodyStart);
  assert.ok(part.bodyStart <= part.bodyEnd && part.bodyEnd <= length);
  for (const child of part.parts) {
    assert.ok(child.headerStart >= part.bodyStart && child.bodyEnd <= part.bodyEnd);
    assertInside(child, length);
  }
}

test("any bytes are read without a throw", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => exercise(Buffer.from(bytes))));
});

test("anything that looks like a mail is read without a throw", () => {
  const piece = fc.constantFrom(
    "Content-Type: ",
    "multipart/mixed",
    "multipart/alternative",
    "multipart/related",
    "text/plain",
    "text/html",
    "message/rfc822",
    "; boundary=a",
    "; boundary=b",
    "; charset=utf-16",
    "; format=flowed",
    "\r\n",
    "\n",
    "\r\n\r\n",
    "\n\n",
    "--a",
    "--b",
    "--a--",
    "--b--",
    "Content-Transfer-Encoding: base64",
    "Content-Transfer-Encoding: quoted-printable",
    "From: ",
    "Subject: ",
    "a@b.example",
    "=?utf-8?q?=C3?=",
    "<p>",
    "=",
    " ",
    "QQ==",
    "x",
    "\u0000",
    "\u00ff",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => exercise(Buffer.from(pieces.join(""), "latin1"))),
    { numRuns: 2000 },
  );
});

test("corpus mails with random wounds are read without a throw", (t) => {
  const mails = mailFiles().map((file) => readFileSync(file));
  if (mails.length === 0) return t.skip("no corpus is on this machine");
  const random = new Random(1);
  for (let i = 0; i < 3000; i++) exercise(mutate(random.pick(mails).subarray(0, 20_000), random));
});

test("a line in the header of an attached message is no boundary of the multipart that the header declares", () => {
  const message = "--a\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\nfirst\n--a\n\nsecond\n--a--\n";
  const raw = Buffer.from(`Content-Type: message/rfc822\n\n${message}`);
  exercise(raw);
  const [attached] = indexMail(raw).root.parts;
  assert.deepEqual(
    attached?.parts.map((part) => decodeText(raw, part)),
    ["first", "second"],
  );
});

for (const [name, make] of Object.entries(hostileMails)) {
  test(`four times the input takes about four times the time: ${name}`, () => {
    exercise(make(20_000));
    const small = make(250_000);
    const big = make(1_000_000);
    assertLinear(name, { once: () => summarizeMail(small), fourTimes: () => summarizeMail(big) });
  });
}
