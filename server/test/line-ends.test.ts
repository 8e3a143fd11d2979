import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { withCrlf } from "../src/mail/line-ends.ts";

const pieces = fc.array(fc.constantFrom("\r", "\n", "\r\n", "a", ".", "\xff"));

test("every line ends with CRLF, a lone CR stays, and what was right already keeps every byte", () => {
  fc.assert(
    fc.property(pieces, (parts) => {
      const text = parts.join("");
      const out = withCrlf(Buffer.from(text, "latin1"));
      const expected = text.replace(/(?<!\r)\n/g, "\r\n");
      assert.equal(out.toString("latin1"), expected.endsWith("\n") ? expected : `${expected}\r\n`);
      assert.equal(out.buffer.byteLength, out.length, "it spans its whole ArrayBuffer");
      assert.deepEqual(withCrlf(out), out);
    }),
    { numRuns: 1000 },
  );
});

test("a mail of nothing but line ends takes no longer than its size says", () => {
  const msOf = (text: Buffer): number => {
    const startMs = performance.now();
    withCrlf(text);
    return performance.now() - startMs;
  };
  const best = (byte: number): number => Math.min(...[1, 2, 3].map(() => msOf(Buffer.alloc(4 * 1024 * 1024, byte))));
  best(0x61);
  assert.ok(best(0x0a) < 50 + 20 * best(0x61));
});
