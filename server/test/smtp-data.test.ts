import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteBudget } from "../src/smtp/byte-budget.ts";
import { DataReader } from "../src/smtp/data.ts";
import { LineReader, type Line } from "../src/smtp/lines.ts";
import { readMailSlowly } from "./fuzz/targets/smtp-data.ts";
import { assertLinear } from "./support/thread-time.ts";

interface Outcome {
  /** Bytes after the end, which belong to the next command; `null` when the end was not met. */
  rest: string | null;
  kind: string;
  raw: string;
}

function readAll(chunks: Buffer[], maxBytes = 1000): Outcome {
  const budget = new ByteBudget(100_000);
  const reader = new DataReader(maxBytes, budget);
  for (const [i, chunk] of chunks.entries()) {
    if (!reader.read(Buffer.from(chunk), 0)) continue;
    const result = reader.take();
    reader.release();
    assert.ok(budget.fits(100_000), "everything was given back");
    const rest = Buffer.concat([chunk.subarray(reader.end), ...chunks.slice(i + 1)]).toString("latin1");
    return { rest, kind: result.kind, raw: result.kind === "mail" ? result.raw.toString("latin1") : "" };
  }
  return { rest: null, kind: reader.hasBadLineEnds ? "bad_line_ends" : "unfinished", raw: "" };
}

const oneByOne = (bytes: Buffer): Buffer[] => Array.from(bytes, (byte) => Buffer.of(byte));

// [what is sent after 354, content or why it is refused, what is left over]
const cases: [input: string, kind: string, raw: string, rest: string | null][] = [
  [".\r\n", "mail", "", ""],
  ["\r\n.\r\n", "mail", "\r\n", ""],
  ["a\r\n.\r\nQUIT\r\n", "mail", "a\r\n", "QUIT\r\n"],
  ["..\r\n.\r\n", "mail", ".\r\n", ""],
  [".a\r\n..b\r\n...\r\n.\r\n", "mail", "a\r\n.b\r\n..\r\n", ""],
  ["a.\r\n.\r\n", "mail", "a.\r\n", ""],
  ["a\r\n.", "unfinished", "", null],
  ["a\r\n.\r", "unfinished", "", null],
  ["", "unfinished", "", null],
  ["a\n.\r\n.\r\nx", "bad_line_ends", "", "x"],
  ["a\n.\n\r\n.\r\nx", "bad_line_ends", "", "x"],
  ["a\r.\r\r\n.\r\nx", "bad_line_ends", "", "x"],
  ["a\r\n.\ra\r\n.\r\nx", "bad_line_ends", "", "x"],
  ["a\r\n.\r\r\n.\r\nx", "bad_line_ends", "", "x"],
  ["\n.\r\n\r\n.\r\n", "bad_line_ends", "", ""],
  ["\r.\r\n.\r\n", "bad_line_ends", "", ""],
  ["a\n.\r\n", "bad_line_ends", "", null],
  ["\0\x80\xff\r\n.\r\n", "mail", "\0\x80\xff\r\n", ""],
];

test("only CRLF.CRLF ends a mail, and only dots at the start of a line are unstuffed", () => {
  for (const [input, kind, raw, rest] of cases) {
    const bytes = Buffer.from(input, "latin1");
    for (const chunks of [[bytes], oneByOne(bytes)]) {
      assert.deepEqual(readAll(chunks), { kind, raw, rest }, JSON.stringify(input));
    }
  }
});

/** Bytes that are mostly the ones that matter, so that short inputs meet every place in every order. */
const dataBytes = fc
  .array(fc.oneof(fc.constantFrom("\r\n", "\r\n.", "\r\n.\r\n", ".", "\r", "\n", "a"), fc.string()), { maxLength: 60 })
  .map((parts) => Buffer.from(parts.join(""), "latin1"));

test("the result of reading a mail does not depend on how its bytes are cut", () => {
  fc.assert(
    fc.property(dataBytes, fc.array(fc.nat(400)), (bytes, cuts) => {
      const places = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).toSorted((a, b) => a - b), bytes.length];
      const chunks = places.slice(1).map((place, i) => bytes.subarray(places[i], place));
      const whole = readAll([bytes], 200);
      assert.deepEqual(readAll(chunks, 200), whole);
      assert.deepEqual(readAll(oneByOne(bytes), 200), whole);
    }),
    { numRuns: 2000 },
  );
});

/** Lines as mails have them, many enough to be taken together, with something among them that must not be missed. */
const longData = fc
  .array(
    fc.oneof(
      { weight: 9, arbitrary: fc.nat(90).map((length) => `${"x".repeat(length)}\r\n`) },
      {
        weight: 1,
        arbitrary: fc.constantFrom(".\r\n", "..\r\n", "\r", "\n", ".", ".\r", "\r\n.\r\n", "y".repeat(900)),
      },
    ),
    { minLength: 10, maxLength: 60 },
  )
  .map((parts) => Buffer.from(parts.join(""), "latin1"));

test("nothing is missed among many lines", () => {
  fc.assert(
    fc.property(longData, fc.nat(3000), (bytes, cut) => {
      const slowly = readMailSlowly(bytes.toString("latin1"), 100_000);
      const { kind, content, rest } = slowly;
      const expected = { kind, raw: content, rest };
      for (const chunks of [[bytes], [bytes.subarray(0, cut), bytes.subarray(cut)]]) {
        const read = readAll(chunks, 100_000);
        // The obvious reader does not look at lines before there is an end.
        if (kind === "unfinished") assert.equal(read.rest, null);
        else assert.deepEqual(read, expected);
      }
    }),
    { numRuns: 2000 },
  );
});

test("a mail that is stuffed as a client does it comes out as it was", () => {
  const content = fc
    .array(fc.oneof(fc.constantFrom("", ".", "..", ".a"), fc.string({ maxLength: 100 })), { maxLength: 50 })
    .map((lines) => lines.map((line) => `${line.replaceAll(/[\r\n]/g, "")}\r\n`).join(""));
  fc.assert(
    fc.property(content, fc.integer({ min: 1, max: 50 }), (text, size) => {
      const bytes = Buffer.from(text);
      const sent = Buffer.from(`${text.replaceAll(/^\./gm, "..")}.\r\n`);
      const chunks = Array.from({ length: Math.ceil(sent.length / size) }, (_, i) =>
        sent.subarray(i * size, (i + 1) * size),
      );
      assert.deepEqual(readAll(chunks, 100_000), { kind: "mail", raw: bytes.toString("latin1"), rest: "" });
    }),
  );
});

test("content of several pieces is given in a buffer that spans its whole ArrayBuffer", () => {
  const reader = new DataReader(1000, new ByteBudget(1000));
  assert.equal(reader.read(Buffer.from("a"), 0), false);
  assert.ok(reader.read(Buffer.from("bc\r\n.\r\nQUIT\r\n"), 0));
  const result = reader.take();
  assert.ok(result.kind === "mail");
  assert.equal(result.raw.buffer.byteLength, 5);
});

test("the size limit counts content, not dots that are dropped, and is met to the byte", () => {
  assert.equal(readAll([Buffer.from("..34567\r\n.\r\n")], 8).kind, "mail");
  assert.equal(readAll([Buffer.from("..345678\r\n.\r\nx")], 8).kind, "too_large");
  assert.equal(readAll(oneByOne(Buffer.from("..345678\r\n.\r\nx")), 8).kind, "too_large");
});

test("a mail for which there is no room left is read to its end, holding nothing", () => {
  const budget = new ByteBudget(10);
  assert.ok(budget.take(6));
  const reader = new DataReader(1000, budget);
  assert.equal(reader.read(Buffer.from("1\r\n"), 0), false);
  assert.equal(budget.fits(2), false, "what has arrived is counted");
  assert.equal(reader.read(Buffer.from("45\r\n"), 0), false);
  assert.ok(budget.fits(4), "a refused mail holds nothing");
  assert.equal(reader.read(Buffer.from("6\r\n.\r\n"), 0), true);
  assert.deepEqual(reader.take(), { kind: "no_room" });
});

test("reading takes time in line with the length, whatever the bytes are", () => {
  const hostile: Record<string, (length: number) => Buffer> = {
    "no line end": (length) => Buffer.alloc(length, "a"),
    "only CRLF": (length) => Buffer.alloc(length, "\r\n"),
    "only CR": (length) => Buffer.alloc(length, "\r"),
    "only LF": (length) => Buffer.alloc(length, "\n"),
    "only stuffed dots": (length) => Buffer.alloc(length, "..\r\n"),
    "stuffed dots in lines of a middle length": (length) => Buffer.alloc(length, `..${"a".repeat(130)}\r\n`),
    "lines, then a long one": (length) => Buffer.alloc(length, "a").fill("a\r\n", 0, length >> 1),
    "lines and one CR alone": (length) =>
      Buffer.alloc(length, "aaaaaaaaaaaaa\r\n").fill("\r", length >> 1, (length >> 1) + 1),
    "long lines without LF": (length) => Buffer.alloc(length, `${"a".repeat(40)}\r`),
    "almost an end": (length) => Buffer.alloc(length, ".\r.\r"),
  };
  for (const [name, make] of Object.entries(hostile)) {
    const reading = (length: number): (() => void) => {
      const chunk = make(length);
      // The reader may move the bytes it is given.
      return () => void new DataReader(1e9, new ByteBudget(1e9)).read(Buffer.from(chunk), 0);
    };
    assertLinear(name, { once: reading(1 << 20), fourTimes: reading(1 << 22) });
  }
});

test("reading many small mails out of one chunk takes time in line with its length", () => {
  const reading = (length: number): (() => void) => {
    const chunk = Buffer.alloc(length, `${"x".repeat(90)}\r\n.\r\n`);
    return () => {
      for (let at = 0; at < length;) {
        const reader = new DataReader(1000, new ByteBudget(1000));
        reader.read(chunk, at);
        reader.release();
        at = reader.end;
      }
    };
  };
  assertLinear("small mails", { once: reading(1 << 20), fourTimes: reading(1 << 22) });
});

function readLines(chunks: Buffer[], maxBytes: number): Line[] {
  const reader = new LineReader(maxBytes);
  const lines: Line[] = [];
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at = reader.end) {
      const line = reader.read(chunk, at);
      if (line !== null) lines.push(line);
    }
  }
  return lines;
}

test("command lines do not depend on how their bytes are cut, and each fault is reported once", () => {
  const lineBytes = fc
    .array(fc.oneof(fc.constantFrom("\r\n", "\r", "\n", "ü", "\0", "abcdefgh"), fc.string()), { maxLength: 40 })
    .map((parts) => Buffer.from(parts.join("")));
  fc.assert(
    fc.property(lineBytes, fc.nat(100), (bytes, cut) => {
      const whole = readLines([bytes], 20);
      assert.deepEqual(readLines([bytes.subarray(0, cut), bytes.subarray(cut)], 20), whole);
      assert.deepEqual(readLines(oneByOne(bytes), 20), whole);
      for (const { text, fault } of whole) {
        assert.ok(fault === null || text === "");
        assert.ok(Buffer.byteLength(text) <= 18);
        assert.doesNotMatch(text, /[\x00-\x1f\x7f]/);
      }
    }),
    { numRuns: 1000 },
  );
});

test("a line may be as long as the limit says, CRLF included, and no longer", () => {
  assert.deepEqual(readLines([Buffer.from("12345678\r\n123456789\r\nok\r\n")], 10), [
    { text: "12345678", fault: null },
    { text: "", fault: "too_long" },
    { text: "ok", fault: null },
  ]);
  assert.deepEqual(readLines([Buffer.from("1234567890\n")], 10), [{ text: "", fault: "bare_line_end" }]);
  assert.deepEqual(readLines([Buffer.of(0x61, 0xff, 0x0d, 0x0a)], 10), [{ text: "", fault: "not_utf8" }]);
});
