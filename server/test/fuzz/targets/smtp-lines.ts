import assert from "node:assert/strict";
import { LineReader, type Line } from "../../../src/smtp/lines.ts";
import { splitsOf, type Target } from "../target.ts";

const maxLineBytes = 40;

/** One text for all lines: cheaper to compare than the lines. */
function listed(lines: readonly Line[]): string {
  return lines.map(({ text, fault }) => `${fault}: ${text}\n`).join("");
}

function readAll(chunks: readonly Buffer[]): string {
  const reader = new LineReader(maxLineBytes);
  const lines: Line[] = [];
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at = reader.end) {
      const line = reader.read(chunk, at);
      if (line !== null) lines.push(line);
    }
  }
  return listed(lines);
}

/** The obvious reader: everything at hand, one rule after the other. */
function readSlowly(input: Buffer): string {
  const lines = input.toString("latin1").split("\n").slice(0, -1);
  return listed(lines.map((line) => readLine(`${line}\n`)));
}

function readLine(line: string): Line {
  const text = line.slice(0, -2);
  if (!line.endsWith("\r\n")) return { text: "", fault: "bare_line_end" };
  if (line.length > maxLineBytes) return { text: "", fault: "too_long" };
  if (text.includes("\r")) return { text: "", fault: "bare_line_end" };
  if (/[\x00-\x1f\x7f]/.test(text)) return { text: "", fault: "bad_character" };
  try {
    const decoded = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.from(text, "latin1"));
    return { text: decoded, fault: null };
  } catch {
    return { text: "", fault: "not_utf8" };
  }
}

export const smtpLines: Target = {
  name: "smtp-lines",
  promise: "lines are those of the obvious reader, however the bytes are cut",
  seeds: () => ["EHLO x\r\nNOOP\r\n", "MAIL FROM:<j\u00c3\u00b6rg@x>\r\n", `${"x".repeat(38)}\r\n`, "a\nb\rc\r\n"],
  words: ["\r\n", "\r", "\n", "\u00c3\u00bc", "\u00ff", "\u0000", "abcdefghijklmnopqrs", "\u00ef\u00bb\u00bf", "\t"],
  maxBytes: 512,
  check(input) {
    const expected = readSlowly(input);
    assert.equal(readAll([input]), expected);
    for (const chunks of splitsOf(input)) assert.equal(readAll(chunks), expected);
  },
};
