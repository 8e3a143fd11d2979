import assert from "node:assert/strict";
import { ByteBudget } from "../../../src/smtp/byte-budget.ts";
import { DataReader } from "../../../src/smtp/data.ts";
import { splitsOf, type Target } from "../target.ts";

const maxBytes = 400;
const budgetBytes = 2000;

interface Outcome {
  kind: string;
  content: string;
  /** What belongs to the next command; `null` while there is no end. */
  rest: string | null;
}

function readAll(chunks: readonly Buffer[]): Outcome {
  const budget = new ByteBudget(budgetBytes);
  const reader = new DataReader(maxBytes, budget);
  for (const [i, chunk] of chunks.entries()) {
    // The reader may move the bytes that it is given, and they may begin anywhere in memory.
    const isComplete = reader.read(Buffer.concat([Buffer.alloc(i % 4), chunk]).subarray(i % 4), 0);
    assert.ok(reader.heldBytes <= maxBytes && budget.fits(budgetBytes - reader.heldBytes), "what is held is counted");
    if (!isComplete) continue;
    const result = reader.take();
    reader.release();
    assert.ok(budget.fits(budgetBytes), "everything is given back");
    const rest = Buffer.concat([chunk.subarray(reader.end), ...chunks.slice(i + 1)]).toString("latin1");
    return { kind: result.kind, content: result.kind === "mail" ? result.raw.toString("latin1") : "", rest };
  }
  reader.release();
  assert.ok(budget.fits(budgetBytes), "everything is given back");
  return { kind: "unfinished", content: "", rest: null };
}

/** The obvious reader: looks for the end in all of it, then at the lines before. Text has one character per octet. */
export function readMailSlowly(text: string, maxContentBytes: number): Outcome {
  const end = text.startsWith(".\r\n") ? 0 : text.indexOf("\r\n.\r\n") + 2;
  if (end === 1) return { kind: "unfinished", content: "", rest: null };
  const rest = text.slice(end + 3);
  const stuffed = text.slice(0, end);
  if (/\r(?!\n)|(?<!\r)\n/.test(stuffed)) return { kind: "bad_line_ends", content: "", rest };
  const lines = stuffed.split("\r\n").map((line) => (line.startsWith(".") ? line.slice(1) : line));
  const content = lines.join("\r\n");
  return content.length > maxContentBytes ? { kind: "too_large", content: "", rest } : { kind: "mail", content, rest };
}

/** As `deepEqual`, at a tenth of its cost. */
function assertSame(one: Outcome, other: Outcome): void {
  if (one.kind === other.kind && one.content === other.content && one.rest === other.rest) return;
  assert.deepEqual(one, other);
}

export const smtpData: Target = {
  name: "smtp-data",
  promise: "a mail ends where the obvious reader says and holds what it says, however the bytes are cut",
  seeds: () => [
    "Subject: x\r\n\r\none\r\n.\r\nQUIT\r\n",
    "..\r\n.\r\n",
    "a\n.\n\r\n.\r\n",
    `${"x".repeat(397)}\r\n.\r\n`,
    `${"Line of text\r\n".repeat(25)}..\r\n${"Line of text\r\n".repeat(25)}.\r\nQUIT\r\n`,
  ],
  words: ["\r\n", "\t", "\r\n.\r\n", ".", "\r", "\n", "..", ".\r\n", "\r\n.", "a", "\u0000", "\u00ff", "x".repeat(60)],
  maxBytes: 1024,
  check(input) {
    const expected = readMailSlowly(input.toString("latin1"), maxBytes);
    assertSame(readAll([input]), expected);
    for (const chunks of splitsOf(input)) assertSame(readAll(chunks), expected);
  },
};
