import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseAddress, parseDomain } from "../src/address.ts";
import { parseDuration } from "../src/config.ts";
import { Parameters } from "../src/http/parameters.ts";
import { parseAddresses } from "../src/mime/address-list.ts";
import { decodeCharset } from "../src/mime/charset.ts";
import { scanHeader } from "../src/mime/header.ts";
import { readableText } from "../src/mime/header-text.ts";
import { htmlToText } from "../src/mime/html-text.ts";
import { fieldAddresses, fieldText, indexMail, mimeLimits, type HeaderField } from "../src/mime/mime.ts";
import { parseParameters } from "../src/mime/parameter.ts";
import { decodeTransfer } from "../src/mime/transfer-encoding.ts";
import { ByteBudget } from "../src/smtp/byte-budget.ts";
import { parseCommand } from "../src/smtp/commands.ts";
import { DataReader } from "../src/smtp/data.ts";
import { LineReader } from "../src/smtp/lines.ts";
import { parsePath } from "../src/smtp/paths.ts";
import { hostileMails } from "./support/hostile-mails.ts";
import { assertLinear } from "./support/thread-time.ts";

/** What a parser reads, made of a start, one unit over and over, and an end. */
interface Shape {
  start?: string;
  unit: string;
  end?: string;
}

interface Parser {
  name: string;
  /** Octets of the smaller input; the other has four times as many. */
  bytes: number;
  /** Reads its input so often, where one reading is too short to be measured. */
  times?: number;
  read: (input: Buffer) => void;
  shapes: readonly (string | Shape)[];
}

function textOf(read: (text: string) => unknown): (input: Buffer) => void {
  return (input) => void read(input.toString("latin1"));
}

function filled({ start = "", unit, end = "" }: Shape, bytes: number): Buffer {
  const middle = unit.repeat(Math.ceil(bytes / unit.length)).slice(0, Math.max(bytes - start.length - end.length, 0));
  return Buffer.from(start + middle + end, "latin1");
}

/** As a socket gives them: in pieces of one size. */
function inPieces(input: Buffer, pieceBytes: number, read: (piece: Buffer) => void): void {
  for (let at = 0; at < input.length; at += pieceBytes) read(Buffer.from(input.subarray(at, at + pieceBytes)));
}

function readLines(input: Buffer, pieceBytes: number, maxBytes: number): void {
  const lines = new LineReader(maxBytes);
  inPieces(input, pieceBytes, (piece) => {
    for (let at = 0; at < piece.length; at = lines.end) lines.read(piece, at);
  });
}

function readMail(input: Buffer, pieceBytes: number): void {
  const reader = new DataReader(1e9, new ByteBudget(1e9));
  inPieces(input, pieceBytes, (piece) => reader.read(piece, 0));
}

/** Every field of a header, read in every way. */
function readFields(input: Buffer): void {
  for (const field of scanHeader(input, 0, null, new Set()).fields) readField(input, field);
}

function readField(input: Buffer, field: HeaderField): void {
  fieldText(input, field);
  fieldAddresses(input, field);
}

const pathShapes: (string | Shape)[] = [
  "<",
  { start: "<", unit: "a" },
  { start: "<", unit: '"' },
  { start: '<"', unit: "\\" },
  { start: '<"', unit: '\\"', end: '"@x>' },
  { start: "<", unit: "@a," },
  { start: "<", unit: "@a,", end: "@b:c@d>" },
  { start: "<@[", unit: ":" },
  { start: "<@", unit: "[]" },
  { start: "<", unit: "a.", end: "@x>" },
  { start: "<a@", unit: "b.", end: ">" },
  { start: "<a@b> ", unit: "A=1 " },
  { start: "<a@b> ", unit: "A1 =" },
  { start: "<a@b>", unit: " " },
  { start: "<a@b> A=", unit: "1" },
];
const addressShapes: (string | Shape)[] = [
  "@",
  "a@",
  '"',
  "\\",
  '"\\"',
  "a.",
  "\u00e9",
  { start: "a@", unit: "b-" },
  "+",
  "[",
];
const valueShapes: (string | Shape)[] = [
  ...[
    "=?",
    "=?utf-8?q?",
    "=?utf-8?b?YQ==?= ",
    "=?a?q??=",
    "?=",
    "<",
    '"',
    "\\",
    "(",
    "((a)",
    ",",
    ":",
    ";",
    ":;",
    "@",
    "a@b,",
  ],
  ...[
    "; a=b",
    "; a*0=b",
    "; a*0*=utf-8''%e4",
    ";(",
    "a/",
    '; a="',
    '; a="\\',
    "=",
    "\u00e9",
    " ",
    "\t",
    "a ",
    "\u0000",
  ],
];

const parsers: readonly Parser[] = [
  {
    name: "command lines in large pieces",
    bytes: 1 << 16,
    read: (input) => readLines(input, 65_536, 4096),
    shapes: ["a", "\r", "\n", "\r\n", "NOOP\r\n", "\u0000", "\u00c3\u00bc", "\u00ff\r\n", `${"a".repeat(4094)}\r\n`],
  },
  {
    name: "command lines octet by octet",
    bytes: 1 << 16,
    read: (input) => readLines(input, 1, 1 << 20),
    shapes: ["a", "\r", "\n", "\r\n", "\u00c3\u00bc"],
  },
  {
    name: "commands",
    bytes: 1 << 16,
    read: textOf(parseCommand),
    shapes: [
      " ",
      "A",
      "NOOP ",
      { start: "EHLO ", unit: " " },
      { start: "MAIL FROM:", unit: " " },
      ...pathShapes
        .map((shape) => ({ ...(typeof shape === "string" ? { unit: shape } : shape) }))
        .map((shape) => ({
          ...shape,
          start: `MAIL FROM:${shape.start ?? ""}`,
        })),
    ],
  },
  { name: "paths", bytes: 1 << 16, read: textOf(parsePath), shapes: pathShapes },
  {
    name: "mails in large pieces",
    bytes: 1 << 18,
    read: (input) => readMail(input, 65_536),
    shapes: ["a", "\r\n", "\r", "\n", "..\r\n", ".\r.\r", ".\r", `${"a".repeat(40)}\r`, "\r\n.", "a\r\n"],
  },
  {
    name: "mails octet by octet",
    bytes: 1 << 16,
    read: (input) => readMail(input, 1),
    shapes: ["a", "\r\n", "..\r\n", "\r\n.a"],
  },
  { name: "addresses", bytes: 150, times: 2000, read: textOf(parseAddress), shapes: addressShapes },
  {
    name: "addresses that are far too long",
    bytes: 1 << 16,
    times: 10,
    read: textOf(parseAddress),
    shapes: addressShapes,
  },
  { name: "domains", bytes: 1 << 16, times: 10, read: textOf(parseDomain), shapes: addressShapes },
  {
    name: "header blocks",
    bytes: 1 << 17,
    read: readFields,
    shapes: ["a: b\n", "\n ", "a", ":", " a\r\n", "a: \u00e9\n"],
  },
  {
    name: "values of header fields, at their longest",
    bytes: 1 << 15,
    read: readFields,
    shapes: valueShapes.map((shape) => ({
      unit: `a: ${filled(typeof shape === "string" ? { unit: shape } : shape, mimeLimits.headerValueBytes).toString("latin1")}\n`,
    })),
  },
  {
    name: "part index",
    bytes: 1 << 17,
    read: (input) => void indexMail(input),
    shapes: ["a", "Content-Type: message/rfc822\n\n", "a: b\n"],
  },
  {
    name: "HTML",
    bytes: 1 << 16,
    read: textOf((html) => htmlToText(html, new Set())),
    shapes: [
      "<",
      "</",
      "<!--",
      "<![CDATA[",
      "&",
      "&#",
      "&amp",
      "<a ",
      '<a b="',
      "<p>",
      "<template>",
      "</p>",
      "<pre>\n",
      " ",
      "\n",
    ],
  },
  {
    name: "parameters of a query",
    bytes: 1 << 16,
    read: textOf((query) => {
      try {
        Parameters.parse(query);
      } catch {
        // A refusal is an answer as well.
      }
    }),
    shapes: ["&", "=", "a=b&", "%", "%41", "%c3", "+", "a", "mail=a&", "["],
  },
  { name: "durations", bytes: 1 << 16, times: 10, read: textOf(parseDuration), shapes: ["1", "1.", " ", "s"] },
  {
    name: "quoted-printable",
    bytes: 1 << 17,
    read: (input) => void decodeTransfer(input, "quoted-printable", new Set()),
    shapes: ["=", "= ", "=\r", "=\r\n", " ", " \n", "=C3"],
  },
  {
    name: "base64",
    bytes: 1 << 17,
    read: (input) => void decodeTransfer(input, "base64", new Set()),
    shapes: ["=", "A", "QQ==", "QQ==\n", "\n", " ", "!", "A=!"],
  },
  {
    name: "uuencode",
    bytes: 1 << 17,
    read: (input) => void decodeTransfer(input, "x-uuencode", new Set()),
    shapes: [
      "begin 644 a\n",
      "M",
      "M\n",
      { start: "begin 644 a\n", unit: "M\n" },
      { start: "begin 644 a\n", unit: "M" },
    ],
  },
  ...["utf-7", "iso-2022-jp", "gb18030", "utf-8", "utf-16", "hz-gb-2312", "x-nobody-knows"].map((charset) => ({
    name: `charset ${charset}`,
    bytes: 1 << 16,
    read: (input: Buffer): void => void decodeCharset(input, charset, new Set()),
    shapes: ["+", "+A", "\u001b$B", "~{", "\u0081\u0030", "\u00ff", "a\u00ff", "\ufeff"],
  })),
];

describe("four times the input takes about four times the time", () => {
  for (const { name, bytes, times = 1, read, shapes } of parsers) {
    test(name, () => {
      for (const shape of shapes) {
        const whole: Shape = typeof shape === "string" ? { unit: shape } : shape;
        const small = filled(whole, bytes);
        const big = filled(whole, bytes * 4);
        const reading = (input: Buffer) => (): void => {
          for (let i = 0; i < times; i++) read(input);
        };
        const label = `${name}: ${JSON.stringify(whole).slice(0, 80)}`;
        assertLinear(label, { once: reading(small), fourTimes: reading(big) });
      }
    });
  }
  for (const [name, make] of Object.entries(hostileMails)) {
    test(`part index and fields of ${name}`, () => {
      const [small, big] = [make(40_000), make(160_000)];
      const reading = (mail: Buffer) => (): void => {
        indexMail(mail);
        readFields(mail.subarray(0, mimeLimits.headerBytes));
      };
      assertLinear(name, { once: reading(small), fourTimes: reading(big) });
    });
  }
});

describe("and what is read only up to a length does not get near the square of it", () => {
  for (const [name, read] of Object.entries({ readableText, parseAddresses, parseParameters })) {
    test(name, () => {
      for (const shape of valueShapes) {
        const whole: Shape = typeof shape === "string" ? { unit: shape } : shape;
        const value = (bytes: number): string => filled(whole, bytes).toString("latin1");
        const [small, big] = [value(mimeLimits.headerValueBytes / 4), value(mimeLimits.headerValueBytes)];
        const reading = (text: string) => (): void => {
          for (let i = 0; i < 4; i++) read(text);
        };
        assertLinear(`${name}: ${JSON.stringify(shape)}`, { once: reading(small), fourTimes: reading(big) });
      }
    });
  }
});

test("and work that grows faster is noticed", () => {
  const spendMs = (ms: number) => (): void => {
    const before = process.threadCpuUsage();
    for (let spent = 0; spent < ms * 1000;) {
      const { user, system } = process.threadCpuUsage(before);
      spent = user + system;
    }
  };
  assert.throws(() => assertLinear("a steep one", { once: spendMs(3), fourTimes: spendMs(75) }), /a steep one: /);
});
