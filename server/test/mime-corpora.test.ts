import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { test } from "node:test";
import { decodePart, decodeText, indexMail, summarizeMail, type Part } from "../src/mime/mime.ts";
import { corpus, filesBelow, mailFiles, skipWithout } from "./support/corpora.ts";

test("every mail of every corpus is read without a throw, well-formed, the same each time, and its raw untouched", (t) => {
  const files = mailFiles();
  if (files.length === 0) return t.skip("no corpus is on this machine");
  for (const file of files) {
    const raw = readFileSync(file);
    const before = sha256(raw);
    const first = summarizeMail(raw);
    assert.deepEqual(summarizeMail(raw), first, file);
    for (const text of [first.from, first.subject, first.content]) {
      assert.ok(text.isWellFormed() && !text.includes("\u0000"), file);
    }
    for (const part of leaves(raw)) {
      decodePart(part.raw, part.part);
      assert.ok(decodeText(part.raw, part.part).isWellFormed(), file);
    }
    assert.equal(sha256(raw), before, file);
  }
  t.diagnostic(`${files.length} files`);
});

/** Where mail-parser and we see different things in a mail, and why. Everything else must agree. */
const misses: Readonly<Record<string, string>> = {
  "malformed/009.eml":
    "the boundary of the outer multipart ends the inner one (RFC 2046 section 5.1.2); mail-parser reads on into the text",
  "malformed/011.eml": "as malformed/009",
  "malformed/012.eml": "as malformed/009, with attached messages",
  "thirdparty/002.eml":
    "what follows the padding of base64 on its line is ignored; mail-parser decodes the word `ignored`",
  "thirdparty/005.eml": "a boundary in the middle of a line is none, and half a UTF-16 character is shown as U+FFFD",
};

test(
  "texts and attachments are those that mail-parser sees, but for listed cases",
  { skip: skipWithout("mail-parser") },
  (t) => {
    const folder = `${corpus("mail-parser")}/eml`;
    const files = filesBelow(folder).filter((file) => file.endsWith(".eml"));
    const different = files.filter((file) => !agrees(file)).map((file) => relative(folder, file));
    t.diagnostic(`${files.length - different.length} of ${files.length} agree`);
    assert.deepEqual(different, Object.keys(misses).sort());
    assert.ok(different.length <= files.length * 0.05);
  },
);

test(
  "what mail-parser leaves uuencoded decodes to the pictures that other mails of the set carry as base64",
  {
    skip: skipWithout("mail-parser"),
  },
  () => {
    const pictures = (name: string): string[] =>
      leaves(crlfMail(`${corpus("mail-parser")}/eml/legacy/${name}.eml`))
        .filter(({ part }) => part.type === "image/png")
        .map(({ raw, part }) => sha256(decodePart(raw, part)));
    assert.deepEqual(pictures("017"), pictures("032"));
    assert.deepEqual(pictures("048"), pictures("044"));
  },
);

interface Leaf {
  readonly raw: Buffer;
  readonly part: Part;
}

/** All parts that hold no others, in order; attached messages are looked into, also encoded ones. */
function leaves(raw: Buffer): Leaf[] {
  const found: Leaf[] = [];
  const collect = (part: Part): void => {
    if (part.type === "message/rfc822" && part.encoding === "base64") found.push(...leaves(decodePart(raw, part)));
    else if (part.parts.length > 0) part.parts.forEach(collect);
    else if (!part.type.startsWith("multipart/")) found.push({ raw, part });
  };
  collect(indexMail(raw).root);
  return found;
}

interface ExpectedMail {
  parts: {
    body: { Text?: string; Html?: string; Binary?: number[]; InlineBinary?: number[]; Message?: ExpectedMail };
  }[];
}

type ExpectedLeaf = { text: string } | { hash: string };

function expectedLeaves(mail: ExpectedMail): ExpectedLeaf[] {
  return mail.parts.flatMap(({ body }): ExpectedLeaf[] => {
    if (body.Message !== undefined) return expectedLeaves(body.Message);
    const text = body.Text ?? body.Html;
    if (text !== undefined) return text === "" ? [] : [{ text }];
    const bytes = body.Binary ?? body.InlineBinary;
    return bytes === undefined ? [] : [{ hash: sha256(Buffer.from(bytes)) }];
  });
}

/** Compares all texts and the hashes of all other parts, in order; parts without a body say nothing and are left out. */
function agrees(file: string): boolean {
  const expected = expectedLeaves(
    JSON.parse(readFileSync(file.replace(/\.eml$/, ".crlf.json"), "utf8")) as ExpectedMail,
  );
  const found = leaves(crlfMail(file)).filter(({ part }) => part.bodyEnd > part.bodyStart);
  return (
    found.length === expected.length &&
    found.every(({ raw, part }, index) => {
      const leaf = expected[index]!;
      // mail-parser does not know uuencode and gives the body as it is.
      const shown: Part = part.encoding === "x-uuencode" ? { ...part, encoding: "" } : part;
      return "hash" in leaf
        ? sha256(decodePart(raw, shown)) === leaf.hash
        : sameText(decodeText(raw, shown), leaf.text);
    })
  );
}

/** Where mail-parser gave up on an octet (U+FFFD), ours may be any one character. */
function sameText(ours: string, theirs: string): boolean {
  if (ours.length !== theirs.length) return false;
  for (let at = 0; at < ours.length; at++) {
    if (theirs[at] !== "\ufffd" && theirs[at] !== ours[at]) return false;
  }
  return true;
}

function crlfMail(file: string): Buffer {
  return Buffer.from(readFileSync(file, "latin1").replace(/\r?\n/g, "\r\n"), "latin1");
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
