/** One column of a {@link textTable}; the last one is not padded. */
export interface Column {
  title: string;
  align?: "left" | "right";
}

// East Asian wide and emoji blocks, roughly: enough to keep columns straight in a terminal.
const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const marks = /\p{Mark}|\u200d/u;

/** Rows under their titles in straight columns, two spaces apart, each line ended. Cells hold one line each. */
export function textTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const lines = [columns.map(({ title }) => title), ...rows];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => terminalWidth(line[index] ?? ""))));
  return lines.map((line) => `${layLine(columns, widths, line).trimEnd()}\n`).join("");
}

function layLine(columns: readonly Column[], widths: readonly number[], cells: readonly string[]): string {
  return columns
    .map(({ align }, index) => {
      const cell = cells[index] ?? "";
      const padding = " ".repeat(Math.max(0, (widths[index] ?? 0) - terminalWidth(cell)));
      return align === "right" ? padding + cell : cell + padding;
    })
    .join("  ");
}

function terminalWidth(text: string): number {
  let width = 0;
  for (const character of text) width += wide.test(character) ? 2 : marks.test(character) ? 0 : 1;
  return width;
}

// What a terminal would obey rather than show: control characters, and marks that turn the writing direction.
const controls = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** Text that strangers wrote, safe on a terminal, on one line: white space folded, controls shown as `\ufffd`, cut after `maxLength`. */
export function oneLine(text: string, maxLength: number): string {
  // Cut first, so that a mail of megabytes costs nothing.
  const head = text
    .slice(0, maxLength * 4)
    .replace(/\s+/g, " ")
    .trim()
    .replace(controls, "\ufffd")
    .toWellFormed();
  return head.length <= maxLength ? head : `${head.slice(0, maxLength - 1).toWellFormed()}…`;
}

/** Text that strangers wrote, safe on a terminal, with its lines and tabs. */
export function manyLines(text: string): string {
  return text.replace(controls, (character) => (character === "\n" || character === "\t" ? character : "\ufffd"));
}
