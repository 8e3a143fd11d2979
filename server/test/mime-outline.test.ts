import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { mailFiles } from "./support/corpora.ts";
import { checkedOutline } from "./support/outline-check.ts";

type Leaves = "read" | "placed" | "unread";

function mailOf(header: string, body: string | Buffer): Buffer {
  return Buffer.concat([Buffer.from(`From: a@example.com\r\n${header}\r\n`), Buffer.from(body)]);
}

function leaves(raw: Buffer): Leaves {
  const { content, contentAt } = checkedOutline(raw);
  if (contentAt !== null) return "placed";
  return content === null ? "unread" : "read";
}

const long = "Bring the mail on time, the quick brown cat said.\r\n".repeat(200);

describe("an outline leaves the content of a mail where it is, and agrees with its summary", () => {
  const type = (value: string): string => `Content-Type: ${value}\r\n`;
  const encoding = (value: string): string => `Content-Transfer-Encoding: ${value}\r\n`;
  const parts = (body: string): string => `--x\r\n\r\n${body}\r\n--x--\r\n`;
  const cases: [name: string, mail: Buffer, left: Leaves][] = [
    ["plain text", mailOf("", "Your code is 1234.\r\n \r\n"), "placed"],
    ["long plain text", mailOf("", long), "placed"],
    ["UTF-8", mailOf(type("text/plain; charset=utf-8") + encoding("8bit"), `Grüße ${long}`), "placed"],
    ["UTF-8 at the end", mailOf(type("text/plain; charset=utf-8"), `${long}Grüße 😀\r\n`), "placed"],
    ["white space that is more than ASCII's", mailOf(type("text/plain; charset=utf-8"), `${long}\u3000\r\n`), "unread"],
    ["the same in a small mail", mailOf(type("text/plain; charset=utf-8"), "Word\u00a0\u3000 \r\n\u2003\r\n"), "read"],
    ["CR alone", mailOf("", `one\rtwo\r\n${long}`), "placed"],
    ["another kind of text", mailOf(type("text/markdown"), long), "placed"],
    ["nothing", mailOf("", ""), "placed"],
    ["nothing but a header", Buffer.from("Subject: no end"), "placed"],
    ["no header", Buffer.from(`\r\n${long}`), "placed"],
    ["NUL", mailOf("", `a\u0000b${long}`), "unread"],
    ["a charset that nobody knows", mailOf(type("text/plain; charset=klingon"), long), "unread"],
    ["a charset that is not ASCII's", mailOf(type("text/plain; charset=utf-7"), `na+AO8-ve${long}`), "unread"],
    ["no valid UTF-8", mailOf(type("text/plain; charset=utf-8"), Buffer.from(`\u00ef${long}`, "latin1")), "unread"],
    ["quoted-printable", mailOf(encoding("quoted-printable"), `na=C3=AFve\r\n${long}`), "unread"],
    ["a small mail in quoted-printable", mailOf(encoding("quoted-printable"), "na=C3=AFve"), "read"],
    ["an encoding that nobody knows", mailOf(encoding("x-rot13"), long), "unread"],
    ["HTML", mailOf(type("text/html"), `<p>${long}</p>`), "unread"],
    ["a small mail of HTML", mailOf(type("text/html"), "<p>naive</p>"), "read"],
    ["flowed text", mailOf(type("text/plain; format=flowed"), `one \r\ntwo ${long}`), "unread"],
    ["several parts", mailOf(type('multipart/mixed; boundary="x"'), parts(long)), "unread"],
    ["several small parts", mailOf(type('multipart/mixed; boundary="x"'), parts("one")), "read"],
    ["a multipart without a boundary", mailOf(type("multipart/mixed"), long), "unread"],
    ["a small multipart without a boundary", mailOf(type("multipart/mixed"), "text"), "placed"],
    ["a message", mailOf(type("message/rfc822"), `Subject: inner\r\n\r\n${long}`), "unread"],
    ["a file", mailOf(type("application/pdf"), long), "unread"],
    ["an attached text", mailOf(`${type("text/plain")}Content-Disposition: attachment\r\n`, long), "unread"],
    ["a header that is too long", mailOf("X: y\r\n".repeat(1_500), long), "placed"],
  ];
  for (const [name, mail, left] of cases) test(name, () => assert.equal(leaves(mail), left));
});

test("outlines and summaries of the corpora agree", (t) => {
  const files = mailFiles();
  if (files.length === 0) return t.skip("no corpus is on this machine");
  const counts = { read: 0, placed: 0, unread: 0 };
  for (const file of files) counts[leaves(readFileSync(file))]++;
  t.diagnostic(JSON.stringify(counts));
  assert.ok(counts.placed > 0 && counts.unread > 0);
});
