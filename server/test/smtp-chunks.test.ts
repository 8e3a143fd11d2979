import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteBudget } from "../src/smtp/byte-budget.ts";
import { ChunkReader } from "../src/smtp/chunks.ts";
import { checkChunkDialog } from "./support/chunk-check.ts";
import { assertLinear } from "./support/thread-time.ts";

const envelope = "MAIL FROM:<s@x.example>\r\nRCPT TO:<demo@ours.example>\r\n";

const content = fc
  .array(fc.constantFrom("\r\n", "\r\n", "a", ".", "\r\n.\r\n", "RSET\r\n", "\r", "\n", "\0\xff", "x".repeat(20)), {
    maxLength: 6,
  })
  .map((parts) => parts.join(""));
const chunk = fc
  .tuple(content, fc.constantFrom("", "", " LAST"), fc.constantFrom(0, 0, 0, 0, 1, -1))
  .map(([octets, last, lie]) => `BDAT ${Math.max(0, octets.length + lie)}${last}\r\n${octets}`);
const command = fc.constantFrom(
  envelope,
  envelope,
  "MAIL FROM:<s@x.example>\r\n",
  "RCPT TO:<demo@ours.example>\r\n",
  "RCPT TO:<nobody@ours.example>\r\n",
  "RSET\r\n",
  "NOOP\r\n",
  "HUH\r\n",
  "BDAT 0 LAST\r\n",
  "bdat 0 last \r\n",
  "BDAT -1\r\n",
  "BDAT 1 FIRST\r\nx",
  "BDAT 1234567890123456\r\n",
);
const dialog = fc
  .array(fc.oneof({ weight: 3, arbitrary: chunk }, { weight: 2, arbitrary: command }), { maxLength: 12 })
  .map((parts) => Buffer.from(envelope + parts.join(""), "latin1"));

const oneMail = `${envelope}BDAT 3 LAST\r\n1\r\n`;
const twoMails = oneMail + oneMail;

test("a dialog with BDAT goes as the obvious reader says, cut at every octet and at random", async () => {
  const kinds = new Set<string>();
  await fc.assert(
    fc.asyncProperty(dialog, fc.array(fc.nat(), { maxLength: 6 }), async (bytes, cuts) => {
      const expected = await checkChunkDialog(bytes, cuts);
      for (const code of expected.codes) kinds.add(String(code));
      if (expected.mails.length > 1) kinds.add("mails");
    }),
    { numRuns: 1000, examples: [[Buffer.from(twoMails, "latin1"), [30]]] },
  );
  // Or the property would say little.
  assert.deepEqual([...kinds].toSorted(), ["250", "500", "501", "503", "550", "552", "554", "mails"]);
});

test("octets of a chunk are content, whatever they look like, and the one after them is not", () => {
  const reader = new ChunkReader(100, new ByteBudget(100));
  reader.begin(8);
  assert.equal(reader.read(Buffer.from("\r\n.\r"), 0), false);
  assert.equal(reader.read(Buffer.from("> \n.\r\nNOOP"), 2), true);
  assert.equal(reader.end, 6);
  reader.finish();
  const result = reader.take();
  assert.ok(result.kind === "mail");
  assert.equal(result.raw.toString(), "\r\n.\r\n.\r\n".slice(0, 8));
  assert.equal(result.raw.buffer.byteLength, 8, "in a buffer that spans its whole ArrayBuffer");
});

test("a chunk that cannot fit is known before its octets come, and holds nothing", () => {
  const budget = new ByteBudget(10);
  const large = new ChunkReader(8, budget);
  large.begin(9);
  assert.equal(large.refusal, "too_large");
  const second = new ChunkReader(100, budget);
  second.begin(6);
  assert.ok(second.read(Buffer.from("123456"), 0));
  assert.equal(second.heldBytes, 6);
  second.begin(5);
  assert.equal(second.refusal, "no_room");
  assert.ok(budget.fits(10), "a refused mail holds nothing");
  assert.ok(second.read(Buffer.from("78901"), 0));
  assert.equal(second.bytes, 11, "and is counted to its end");
});

test("reading chunks takes time in line with their length, whatever the octets are", () => {
  const hostile: Record<string, (length: number) => Buffer> = {
    "no line end": (length) => Buffer.alloc(length, "a"),
    "only CRLF": (length) => Buffer.alloc(length, "\r\n"),
    "one LF at the very end": (length) => Buffer.concat([Buffer.alloc(length - 1, "a"), Buffer.from("\n")]),
    "only CR": (length) => Buffer.alloc(length, "\r"),
  };
  for (const [name, make] of Object.entries(hostile)) {
    const reading = (length: number): (() => void) => {
      const octets = make(length);
      return () => {
        const reader = new ChunkReader(1e9, new ByteBudget(1e9));
        reader.begin(length);
        reader.read(octets, 0);
      };
    };
    assertLinear(name, { once: reading(1 << 20), fourTimes: reading(1 << 22) });
  }
});
