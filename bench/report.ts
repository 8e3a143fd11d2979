import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { medianOf, type Row, type Table } from "./measurement.ts";
import type { Verdict } from "./targets.ts";

export interface Report {
  facts: Readonly<Record<string, string | number>>;
  tables: readonly Table[];
  verdicts: readonly Verdict[];
}

/** A table of medians over the rounds, as text; the first figure with the spread of its rounds. */
export function printTable({ title, rows }: Table): string {
  const headings = [...new Set(rows.flatMap((row) => row.rounds.flatMap((figures) => Object.keys(figures))))];
  const [first = "", ...others] = headings;
  const cells = rows.map((row) => [
    row.name,
    show(medianOf(row, first)),
    spreadOf(row, first),
    ...others.map((heading) => show(medianOf(row, heading))),
  ]);
  return `${title}\n${alignColumns([["", first, "±", ...others], ...cells])}`;
}

/** The targets and what was seen, a line each, as text. */
export function printVerdicts(verdicts: readonly Verdict[]): string {
  const lines = verdicts.map(({ what, target, seen, reached, note }) => {
    const verdict = seen === null ? "not measured" : reached ? "reached" : "MISSED";
    return [what, target, seen ?? "", verdict, note];
  });
  const widths = columnWidths(lines);
  const text = lines.map((line) => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "));
  return `What has to be reached\n${text.map((line) => `  ${line}`.trimEnd()).join("\n")}\n`;
}

/** Writes everything that was measured as JSON into a directory; answers the path of the file. */
export async function saveReport({ facts, tables, verdicts }: Report, dir: string): Promise<string> {
  const withMedians = tables.map(({ title, rows }) => ({
    title,
    rows: rows.map((row) => {
      const headings = Object.keys(row.rounds[0] ?? {});
      return { ...row, medians: Object.fromEntries(headings.map((heading) => [heading, medianOf(row, heading)])) };
    }),
  }));
  await mkdir(dir, { recursive: true });
  const path = join(dir, `${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.json`);
  await writeFile(path, `${JSON.stringify({ facts, verdicts, tables: withMedians }, null, 2)}\n`);
  return path;
}

/** Half of the distance between the best and the worst round, in percent of the median. */
function spreadOf(row: Row, heading: string): string {
  const values = row.rounds.flatMap((figures) => figures[heading] ?? []);
  const middle = medianOf(row, heading);
  if (middle === null || middle === 0 || values.length < 2) return "";
  return `${((50 * (Math.max(...values) - Math.min(...values))) / middle).toFixed(0)} %`;
}

function alignColumns(lines: readonly string[][]): string {
  const widths = columnWidths(lines);
  const text = lines.map((line) =>
    line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))),
  );
  return `${text.map((line) => `  ${line.join("  ")}`.trimEnd()).join("\n")}\n`;
}

function columnWidths(lines: readonly string[][]): number[] {
  return lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
}

function show(value: number | null): string {
  if (value === null) return "";
  if (Number.isInteger(value)) return String(value);
  return value.toFixed(Math.abs(value) >= 100 ? 0 : 2);
}
