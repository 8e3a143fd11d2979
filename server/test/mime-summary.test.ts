import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { firstAddress, parseAddresses } from "../src/mime/address-list.ts";
import { mimeLimits, summarizeMail, type MailSummary } from "../src/mime/mime.ts";
import { corpus, skipWithout } from "./support/corpora.ts";
import { nestedMultiparts } from "./support/hostile-mails.ts";

/** Lines are joined by CRLF; octets are written as Latin-1 characters. */
function summarize(...lines: string[]): MailSummary {
  return summarizeMail(Buffer.from(lines.join("\r\n"), "latin1"));
}

function utf8(text: string): string {
  return Buffer.from(text).toString("latin1");
}

describe("from is the first address of the From header and never decoded", () => {
  const cases: [value: string, from: string][] = [
    ["alice@example.com", "alice@example.com"],
    ["Alice <Alice@Example.com>", "Alice@Example.com"],
    ['"Doe, Alice" <alice@example.com>, bob@example.com', "alice@example.com"],
    ["Friends: bob@example.com, carol@example.com;", "bob@example.com"],
    ["undisclosed-recipients:;", ""],
    ["nobody", ""],
    ["", ""],
    ["alice@example.com (Alice (the first))", "alice@example.com"],
    ["=?utf-8?q?=C3=84nne?= <anne@example.com>", "anne@example.com"],
    ["=?utf-8?q?victim=40bank=2Eexample?= <mallory@example.com>", "mallory@example.com"],
    ["=?utf-8?q?victim=40bank=2Eexample?=", ""],
    ["=?utf-8?b?dmljdGltQGJhbmsuZXhhbXBsZQ==?= <>", ""],
    ['"victim@bank.example" <mallory@example.com>', "mallory@example.com"],
    ['"a b"@example.com', '"a b"@example.com'],
    ['"victim@evil.example"@ours.example', '"victim@evil.example"@ours.example'],
    ["odd..dots@under_score.example", "odd..dots@under_score.example"],
    [utf8("Jürgen <jürgen@exämple.com>"), "jürgen@exämple.com"],
    ["J\u00fcrgen <juergen@example.com>", "juergen@example.com"],
    ["Alice\r\n <alice@example.com>", "alice@example.com"],
    [`"${"x".repeat(1500)}" <alice@example.com>`, "alice@example.com"],
  ];
  for (const [value, from] of cases) {
    test(value.slice(0, 60), () => assert.equal(summarize(`From: ${value}`, "", "").from, from));
  }
  test("the first of two From fields counts", () =>
    assert.equal(summarize("From: a@example.com", "From: b@example.com", "", "").from, "a@example.com"));
});

test("no address vector turns into an address of another", { skip: skipWithout("address-attacks") }, () => {
  const vectors: unknown = JSON.parse(readFileSync(`${corpus("address-attacks")}/vectors.json`, "utf8"));
  assert.ok(typeof vectors === "object" && vectors !== null && "encoded_word" in vectors && "other" in vectors);
  assert.ok(Array.isArray(vectors.encoded_word) && Array.isArray(vectors.other));
  for (const vector of vectors.encoded_word) {
    const address = String(vector);
    for (const value of [address, `<${address}>`, `Someone <${address}>`]) {
      const { from } = summarize(`From: ${utf8(value)}`, "", "");
      assert.ok(from === address || from === "", `${value} gave ${from}`);
    }
  }
  for (const vector of vectors.other) {
    const { address } = vector as { address: string };
    const { from } = summarize(`From: ${utf8(address)}`, "", "");
    assert.doesNotMatch(from, /[\u0000-\u001f]/);
    assert.ok(
      from.length === 0 || address.includes(from) || address.replace(/\(.*\)|[\r\n]/g, "").includes(from),
      `${address} gave ${from}`,
    );
  }
});

describe("the subject is decoded onto one line", () => {
  const cases: [value: string, subject: string][] = [
    ["plain", "plain"],
    ["", ""],
    ["   spaced  out ", "spaced  out"],
    ["folded\r\n here\r\n\tand there", "folded here and there"],
    ["=?utf-8?q?caf=C3=A9_au_lait?=", "café au lait"],
    ["=?UTF-8?B?8J+YgA==?= smile", "😀 smile"],
    ["=?utf-8?b?8J+Y?= =?utf-8?b?gA==?=", "😀"],
    ["=?utf-8?q?=C3?=\r\n =?utf-8?q?=A9?=", "é"],
    ["=?utf-8?q?a?= =?utf-8?q?b?= c", "ab c"],
    ["=?iso-2022-jp?b?GyRCJDMkcyRLJEEkTxsoQg==?=", "こんにちは"],
    ["=?gbk?b?xOO6ww==?=", "你好"],
    ["=?gb2312?q?=C4=E3=BA=C3?=", "你好"],
    ["=?iso-8859-1*en?q?caf=E9?=", "café"],
    ["=?x-nobody-knows?q?abc?=", "abc"],
    ["=?utf-8?q?broken", "=?utf-8?q?broken"],
    [utf8("grüße 😀"), "grüße 😀"],
    ["gr\u00fc\u00dfe \u0080", "grüße €"],
    ["a\u0000b\u0007c\u007fd", "a b c d"],
    ["=?utf-8?q?a=0D=0ABcc:_x?=", "a  Bcc: x"],
    ["=?utf-8?b?7aCA?=", "\ufffd\ufffd\ufffd"],
  ];
  for (const [value, subject] of cases) {
    test(JSON.stringify(value), () => assert.equal(summarize(`Subject: ${value}`, "", "").subject, subject));
  }
  test("absent is empty", () => assert.equal(summarize("To: a@example.com", "", "x").subject, ""));
});

const alternative = (plain: string, html: string): string[] => [
  "Content-Type: multipart/alternative; boundary=alt",
  "",
  "preamble",
  "--alt",
  "Content-Type: text/plain",
  "",
  plain,
  "--alt",
  "Content-Type: text/html",
  "",
  html,
  "--alt--",
  "epilogue",
];

describe("content is the text as a person would read it", () => {
  const cases: [name: string, lines: string[], content: string][] = [
    ["no MIME at all", ["Subject: s", "", "Your code is 482913", ""], "Your code is 482913"],
    ["no header", ["", "body"], "body"],
    ["no body", ["Subject: s"], ""],
    ["white space at the end goes, at the start stays", ["", "  a  ", "", " \t", ""], "  a"],
    ["all kinds of line ends", ["", "a\nb\rc\r\nd"], "a\nb\nc\nd"],
    ["nothing can be NUL", ["", "a\u0000b"], "a\ufffdb"],
    ["plain text of an alternative", alternative("plain", "<p>rich</p>"), "plain"],
    ["HTML where the plain text is blank", alternative(" \r\n", "<p>rich</p>"), "rich"],
    ["bare LF", [alternative("plain", "<p>rich</p>").join("\n")], "plain"],
    [
      "parts of a mixed are joined, attachments left out",
      [
        "Content-Type: multipart/mixed; boundary=x",
        "",
        "--x",
        "",
        "one",
        "--x",
        "Content-Type: text/plain; name=notes.txt",
        "",
        "attached",
        "--x",
        "Content-Disposition: attachment",
        "",
        "attached too",
        "--x",
        "Content-Type: application/pdf",
        "",
        "%PDF",
        "--x",
        "Content-Type: text/html",
        "",
        "<b>two</b>",
        "--x--",
      ],
      "one\ntwo",
    ],
    [
      "an alternative inside of a mixed",
      [
        "Content-Type: multipart/mixed; boundary=x",
        "",
        "--x",
        ...alternative("plain", "<p>rich</p>"),
        "--x",
        "",
        "footer",
        "--x--",
      ],
      "plain\nfooter",
    ],
    [
      "the root of a related, by its start parameter",
      [
        'Content-Type: multipart/related; boundary=x; start="<root@x>"',
        "",
        "--x",
        "Content-Type: image/png",
        "Content-ID: <pic@x>",
        "",
        "png",
        "--x",
        "Content-Type: text/html",
        "Content-ID: <root@x>",
        "",
        "<p>root</p>",
        "--x",
        "Content-Type: text/plain",
        "",
        "not me",
        "--x--",
      ],
      "root",
    ],
    [
      "an attached message is not content",
      [
        "Content-Type: multipart/mixed; boundary=x",
        "",
        "--x",
        "",
        "mine",
        "--x",
        "Content-Type: message/rfc822",
        "",
        "Subject: s",
        "",
        "theirs",
        "--x--",
      ],
      "mine",
    ],
    [
      "a multipart/digest holds messages",
      ["Content-Type: multipart/digest; boundary=x", "", "--x", "", "Subject: s", "", "theirs", "--x--"],
      "",
    ],
    [
      "a boundary that is never found",
      ["Content-Type: multipart/mixed; boundary=x", "", "still readable"],
      "still readable",
    ],
    ["a multipart without a boundary", ["Content-Type: multipart/mixed", "", "still readable"], "still readable"],
    [
      "the end boundary is missing",
      ["Content-Type: multipart/mixed; boundary=x", "", "--x", "", "open end"],
      "open end",
    ],
    [
      "white space behind a boundary",
      ["Content-Type: multipart/mixed; boundary=x", "", "--x \t", "", "a", "--x--  "],
      "a",
    ],
    [
      "a boundary in quotes with spaces inside",
      ['Content-Type: multipart/mixed; boundary="a b:c"', "", "--a b:c", "", "a", "--a b:c--"],
      "a",
    ],
    [
      "a comment in the type",
      ["Content-Type: multipart/mixed (really); boundary=x (so it is)", "", "--x", "", "a", "--x--"],
      "a",
    ],
    ["a missing semicolon", ["Content-Type: multipart/mixed", "  boundary=x", "", "--x", "", "a", "--x--"], "a"],
    [
      "an inner boundary that begins like the outer",
      [
        "Content-Type: multipart/mixed; boundary=x",
        "",
        "--x",
        "Content-Type: multipart/mixed; boundary=xy",
        "",
        "--xy",
        "",
        "inner",
        "--xy--",
        "--x",
        "",
        "outer",
        "--x--",
      ],
      "inner\nouter",
    ],
    [
      "an outer boundary ends the inner parts",
      [
        "Content-Type: multipart/mixed; boundary=x",
        "",
        "--x",
        "Content-Type: multipart/mixed; boundary=y",
        "",
        "--y",
        "",
        "inner",
        "--x",
        "",
        "outer",
        "--x--",
      ],
      "inner\nouter",
    ],
    ["a part without a header", ["Content-Type: multipart/mixed; boundary=x", "", "--x", "", "a", "--x--"], "a"],
    [
      "a line of dashes is no boundary",
      ['Content-Type: multipart/mixed; boundary="--"', "", "----", "", "a", "----------", "b", "------"],
      "a\n----------\nb",
    ],
    ["only one part, of another kind of text", ["Content-Type: text/csv", "", "a,b"], "a,b"],
    ["only one part, an attachment", ["Content-Disposition: attachment; filename=a.txt", "", "a,b"], ""],
    ["only one part, a picture", ["Content-Type: image/png", "", "png"], ""],
    [
      "flowed text",
      ["Content-Type: text/plain; format=flowed", "", "one ", "two", " three", "> q ", "> r", "-- ", "sig"],
      "one two\nthree\n> q r\n-- \nsig",
    ],
    [
      "flowed text that deletes spaces",
      ["Content-Type: text/plain; format=flowed; delsp=yes", "", "one ", "two"],
      "onetwo",
    ],
    [
      "two content types: the one that says more",
      ["Content-Type: multipart/mixed; boundary=x", "Content-Type: text/plain", "", "--x", "", "a", "--x--"],
      "a",
    ],
    ["an mbox line in front", ["From someone Mon Nov 23 08:00:00 2026", "Subject: s", "", "a"], "a"],
  ];
  for (const [name, lines, content] of cases) {
    test(name, () => assert.equal(summarize(...lines).content, content));
  }
});

describe("each cap adds its defect and keeps what is there", () => {
  const cases: [defect: string, mail: string, content: RegExp][] = [
    [
      "too_many_parts",
      `Content-Type: multipart/mixed; boundary=x\n${"\n--x\n\nword".repeat(1200)}`,
      /^(?:word\n){998}word$/,
    ],
    ["too_deep", nestedMultiparts(mimeLimits.multipartDepth + 1, "\nlast"), /^$/],
    ["too_deep_message", `${"Content-Type: message/rfc822\n\n".repeat(11)}Subject: s\n\nlast`, /^$/],
    ["header_too_long", `${"a: b\n".repeat(1200)}\nbody`, /^body$/],
    ["header_too_long", `Subject: s\n${`x: ${"y".repeat(200_000)}\n`.repeat(7)}\nbody`, /^body$/],
    ["header_value_too_long", `Subject: ${"y".repeat(20_000)}\n\nbody`, /^body$/],
    ["malformed_header", "Subject: s\nno field\n\nbody", /^body$/],
    ["missing_boundary", "Content-Type: multipart/mixed\n\nbody", /^body$/],
    ["unclosed_multipart", "Content-Type: multipart/mixed; boundary=x\n\n--x\n\nbody", /^body$/],
    ["repeated_content_type", "Content-Type: text/plain\nContent-Type: text/html\n\nbody", /^body$/],
    ["unknown_encoding", "Content-Transfer-Encoding: x-own\n\nbody", /^body$/],
    ["unknown_charset", "Content-Type: text/plain; charset=x-own\n\nbody", /^body$/],
    ["not_base64", "Content-Transfer-Encoding: base64\n\nYour code is 482913.", /^Your code is 482913\.$/],
    ["content_too_long", `\nab${"\u{1f63a}".repeat(600_000)}`, /^ab(?:\u{1f63a}){524287}$/u],
    // Three octets for each character, and no line end where one would like to cut.
    ["content_too_long", `\nfirst\n${`${"\u65e5".repeat(400_000)}\n`.repeat(3)}`, /^first\n[\u65e5\n]{1048570}$/],
    ["html_too_long", `Content-Type: text/html\n\nstart ${"<!-- -->".repeat(1024 * 1024 + 1)} end`, /^start$/],
  ];
  for (const [defect, mail, content] of cases) {
    test(`${defect} (${mail.length} octets)`, () => {
      const summary = summarizeMail(Buffer.from(mail));
      assert.deepEqual(
        summary.defects.includes(defect as (typeof summary.defects)[number]),
        true,
        summary.defects.join(),
      );
      assert.match(summary.content, content);
    });
  }
  test("a clean mail has none", () => assert.deepEqual(summarize(...alternative("plain", "<p>rich</p>")).defects, []));
  test("as deep as allowed is read", () => {
    const summary = summarizeMail(Buffer.from(nestedMultiparts(mimeLimits.multipartDepth, "\nlast")));
    assert.equal(summary.content, "last");
    assert.deepEqual(summary.defects, ["unclosed_multipart"]);
  });
});

test("Received fields are counted in the header only, in any case and on any line end", () => {
  const mail =
    "Received: a\r\n\tReceived: folded\r\nRECEIVED : b\nreceived:c\r\nX-Received: d\r\n\r\nReceived: body\r\n";
  assert.equal(summarizeMail(Buffer.from(mail)).received, 3);
  assert.equal(summarizeMail(Buffer.from("")).received, 0);
  assert.equal(summarizeMail(Buffer.from(`${"Received: x\r\n".repeat(150)}\r\n`)).received, 150);
});

test("bytes that are no Buffer and lie inside of a bigger one are read alike", () => {
  const padded = new Uint8Array([1, 2, 3, ...Buffer.from("Subject: s\r\n\r\nbody"), 4, 5]);
  assert.equal(summarizeMail(padded.subarray(3, -2)).content, "body");
});

test("the sender that is read the short way is the first that the whole parser finds", () => {
  const name = fc.stringMatching(/^[\w .,'"-]{0,8}$/);
  const address = fc.stringMatching(/^[\w.+=,-]{0,6}@[\w.,-]{0,6}$/);
  const field = fc.oneof(
    address,
    fc.tuple(name, address).map(([shown, at]) => `${shown}<${at}>`),
    fc.tuple(name, address).map(([shown, at]) => `"${shown}" <${at}>`),
    fc
      .array(fc.constantFrom("a", "b.c", "@", "<", ">", '"', " ", ",", ":", "(", ")"), { maxLength: 10 })
      .map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(field, (value) => {
      const first = parseAddresses(value.trim()).find((found) => found.address !== "");
      assert.equal(firstAddress(value.trim()), first?.address ?? "");
    }),
    { numRuns: 2000 },
  );
});
