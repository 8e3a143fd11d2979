import type { Random } from "./random.ts";

/** One way to make a parser slow or wrong: a mail of about `bytes` octets. */
export type HostileMail = (bytes: number) => Buffer;

function repeated(unit: string, bytes: number): string {
  return unit.repeat(Math.ceil(bytes / unit.length)).slice(0, bytes);
}

function withHeader(header: string): (unit: string) => HostileMail {
  return (unit) => (bytes) => Buffer.from(`From: a@b.example\r\n${header}\r\n\r\n${repeated(unit, bytes)}`, "latin1");
}

function withStart(start: string): (unit: string) => HostileMail {
  return (unit) => (bytes) => Buffer.from(start + repeated(unit, bytes), "latin1");
}

const html = withHeader("Content-Type: text/html");
const multipart = withHeader("Content-Type: multipart/mixed; boundary=a");
const quotedPrintable = withHeader("Content-Transfer-Encoding: quoted-printable");
const base64 = withHeader("Content-Transfer-Encoding: base64");
const flowed = withHeader("Content-Type: text/plain; format=flowed");
const subject = withStart("Subject: ");
const from = withStart("From: ");
const contentType = withStart("Content-Type: text/plain");

/** `count` multiparts inside each other, numbered, and then `rest`. */
export function nestedMultiparts(count: number, rest: string, subtype = "mixed"): string {
  const levels = Array.from(
    { length: count },
    (_, level) => `Content-Type: multipart/${subtype}; boundary=b${level}\n\n--b${level}\n`,
  );
  return levels.join("") + rest;
}

function charset(name: string, unit: string): HostileMail {
  return withHeader(`Content-Type: text/plain; charset=${name}`)(unit);
}

/** Inputs on which a naive parser takes time that is not linear, by name. */
export const hostileMails: Readonly<Record<string, HostileMail>> = {
  "lines of dashes": multipart("\n--"),
  "near boundaries": (bytes) =>
    Buffer.from(
      `Content-Type: multipart/mixed; boundary=${"a".repeat(60)}\n\n${repeated(`\n--${"a".repeat(59)}`, bytes)}`,
    ),
  "empty parts": multipart("\n--a"),
  "tiny parts": multipart("\n--a\nContent-Type: text/plain\n\nx"),
  "ends of a multipart that was cut off": (bytes) =>
    Buffer.from(`${nestedMultiparts(2, "\n--b0\n\n")}${repeated("\n--b1--", bytes)}`),
  "endless nesting": (bytes) => Buffer.from(nestedMultiparts(Math.ceil(bytes / 55), "")),
  "deep nesting, then outer boundaries": (bytes) => Buffer.from(nestedMultiparts(100, repeated("\n--b0x", bytes))),
  "blank alternatives in alternatives": (bytes) =>
    Buffer.from(nestedMultiparts(100, `Content-Type: text/plain\n\n${repeated(" \n", bytes)}`, "alternative")),
  "messages in messages": withStart("")("Content-Type: message/rfc822\n\n"),
  "header fields": withStart("")("a: b\n"),
  "folded lines": withStart("a: b\n")(" c\n"),
  "header junk": withStart("")("junk\n"),
  "content types": withStart("")("Content-Type: text/plain; charset=a\n"),
  "encoded words": subject("=?utf-8?q?a?= "),
  "broken encoded words": subject("=?a?q??="),
  "half encoded words": subject("=?utf-8?b?"),
  addresses: from("a@b,"),
  "open brackets": from("<"),
  "open quotes": from('"a"@'),
  "open comments": from("("),
  groups: from(":;"),
  parameters: contentType("; a=b"),
  continuations: contentType("; a*0=b"),
  "unclosed parameter comments": contentType(";("),
  "slashes in a type": (bytes) =>
    Buffer.from(`Content-Type: ${repeated("a/", 16_000)}\r\n`.repeat(Math.ceil(bytes / 16_000))),
  "equals signs": quotedPrintable("="),
  "soft breaks that are none": quotedPrintable("=     "),
  "trailing white space": quotedPrintable("     \n"),
  "base64 in pieces": base64("QQ==\n"),
  "base64 with junk": base64("QUJD\n=!"),
  "uuencoded lines": withHeader("Content-Transfer-Encoding: x-uuencode")("begin 644 a\nM\n"),
  "flowed lines": flowed("a \n"),
  "flowed quotes": flowed("> > \n"),
  "utf-7 shifts": charset("utf-7", "+AGE"),
  "iso-2022-jp shifts": charset("iso-2022-jp", "\u001b$B"),
  "half gb18030": charset("gb18030", "\u0081\u0030\u0081"),
  "unknown charset": charset("x-nobody-knows", "\u00ff"),
  "carriage returns": withHeader("")("\r"),
  nulls: withHeader("")("\u0000"),
  "tags never opened": html("<"),
  "comments never closed": html("<!--"),
  ampersands: html("&"),
  "tags never closed": html("<a b="),
  "quotes never closed": html('<a b="'),
  "end tags never closed": html("</"),
  scripts: html("<script>"),
  "nested blocks": html("<div>"),
  "nested hidden blocks": html("<div hidden>"),
  "styled blocks": html('<div style="display:none">'),
  "links never closed": html('<a href="http://a.example">x'),
  preformatted: html("<pre>\n"),
  "list items": html("<li>"),
  words: html("x "),
  "no-break spaces": html("&nbsp;x"),
  cells: html("<table><tr><td>a"),
  "title ends": html("<title></titl"),
  "number references": html("&#x"),
  cdata: html("<![CDATA["),
};

const fragments = [
  "\r\n--",
  "--",
  "=?utf-8?q?",
  "?=",
  ";",
  '"',
  "<",
  "&",
  "=\r\n",
  "\u0000",
  "\r",
  "\n\n",
  "boundary=",
  "charset=utf-16",
  "base64",
  "\u00ff",
];

/** Bytes with a few random wounds: octets changed, pieces cut out, repeated or put in, `words` among them. */
export function mutate(bytes: Buffer, random: Random, words: readonly string[] = fragments): Buffer {
  let wounded = Buffer.from(bytes);
  for (let wounds = 1 + random.integer(0, 4); wounds > 0; wounds--) {
    const at = random.integer(0, Math.max(wounded.length - 1, 0));
    const length = random.integer(0, Math.min(199, wounded.length >> 1));
    const kind = random.integer(0, 3);
    if (kind === 0 && wounded.length > 0) wounded[at] = random.integer(0, 255);
    else
      wounded = Buffer.concat([
        wounded.subarray(0, at),
        middle(wounded, { kind, at, length, random, words }),
        wounded.subarray(kind === 1 ? at + length : at),
      ]);
  }
  return wounded;
}

interface Cut {
  kind: number;
  at: number;
  length: number;
  random: Random;
  words: readonly string[];
}

function middle(bytes: Buffer, { kind, at, length, random, words }: Cut): Buffer {
  if (kind === 1) return Buffer.alloc(0);
  if (kind === 2) return bytes.subarray(at, at + length);
  return Buffer.from(random.pick(words), "latin1");
}
