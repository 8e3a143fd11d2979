import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { mimeLimits, summarizeMail } from "../src/mime/mime.ts";
import { mailFiles } from "./support/corpora.ts";
import { placedContent } from "./support/placed-content.ts";

function mailOf(header: string, body: string | Buffer): Buffer {
  return Buffer.concat([Buffer.from(`From: a@example.com\r\n${header}\r\n`), Buffer.from(body)]);
}

describe("a summary says where the content stands in the mail", () => {
  const utf8 = "Content-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: 8bit\r\n";
  const cases: [name: string, mail: Buffer, content: string][] = [
    ["nothing said about it", mailOf("", "Your code is 1234.\r\nGood bye.\r\n"), "Your code is 1234.\nGood bye."],
    ["UTF-8", mailOf(utf8, "Grüße 😀\r\n日本語\r\n\r\n"), "Grüße 😀\n日本語"],
    ["white space that is more than ASCII's", mailOf(utf8, "Word\u00a0\u3000 \r\n\u2003\r\n"), "Word"],
    ["blank lines in front", mailOf("", "\r\n\r\n  text\r\n"), "\n\n  text"],
    ["lines that end with LF", mailOf("", "one\ntwo\r\nthree\n"), "one\ntwo\nthree"],
    ["lines that end with CR", mailOf("", "one\rtwo\r\n\rthree\r"), "one\ntwo\n\nthree"],
    ["ASCII of another charset", mailOf("Content-Type: text/plain; charset=iso-8859-15\r\n", "plain"), "plain"],
    ["ASCII of a charset that nobody knows", mailOf("Content-Type: text/plain; charset=klingon\r\n", "plain"), "plain"],
    ["another kind of text", mailOf("Content-Type: text/markdown\r\n", "# plain"), "# plain"],
  ];
  for (const [name, mail, content] of cases) {
    test(name, () => {
      const summary = summarizeMail(mail);
      assert.equal(summary.content, content);
      assert.equal(placedContent(mail, summary), content);
    });
  }
});

describe("a summary says nothing where the mail does not hold its content as it is", () => {
  const type = (value: string): string => `Content-Type: ${value}\r\n`;
  const cases: [name: string, mail: Buffer][] = [
    ["quoted-printable", mailOf("Content-Transfer-Encoding: quoted-printable\r\n", "na=C3=AFve")],
    ["quoted-printable with nothing quoted", mailOf("Content-Transfer-Encoding: quoted-printable\r\n", "naive")],
    ["base64", mailOf("Content-Transfer-Encoding: base64\r\n", "bmFpdmU=")],
    ["HTML", mailOf(type("text/html"), "naive")],
    ["flowed text", mailOf(type("text/plain; format=flowed"), "one \r\ntwo")],
    ["another charset", mailOf(type("text/plain; charset=iso-8859-1"), Buffer.from("na\u00efve", "latin1"))],
    ["no valid UTF-8", mailOf(type("text/plain; charset=utf-8"), Buffer.from("na\u00efve", "latin1"))],
    ["a byte order mark", mailOf(type("text/plain; charset=utf-8"), "\ufeffnaïve")],
    // As many octets as UTF-8 has for what they mean.
    ["escapes that look like ASCII", mailOf(type("text/plain; charset=iso-2022-jp"), "\u001b$B$3$s$K$A$O!#\u001b(B")],
    ["UTF-7", mailOf(type("text/plain; charset=utf-7"), "na+AO8-ve")],
    ["NUL", mailOf("", "a\u0000b")],
    ["several parts", mailOf(type('multipart/mixed; boundary="x"'), "--x\r\n\r\none\r\n--x\r\n\r\ntwo\r\n--x--\r\n")],
    ["more of it than is kept", mailOf("", "x".repeat(mimeLimits.contentChars + 1))],
  ];
  for (const [name, mail] of cases) {
    test(name, () => {
      const summary = summarizeMail(mail);
      assert.notEqual(summary.content, "");
      assert.equal(summary.contentAt, null);
    });
  }
});

test("the content of every mail of the corpora stands where it is said to", (t) => {
  const files = mailFiles();
  if (files.length === 0) return t.skip("no corpus is on this machine");
  let placed = 0;
  for (const file of files) {
    const raw = readFileSync(file);
    const summary = summarizeMail(raw);
    const content = placedContent(raw, summary);
    if (content === null) continue;
    assert.equal(content, summary.content, file);
    placed++;
  }
  t.diagnostic(`${placed} of ${files.length} files`);
  assert.ok(placed > 0);
});
