import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Figures } from "./cases.ts";
import { median } from "./distribution.ts";

/** One line of a table: what was measured, and its figures of every round. */
export interface Row {
  name: string;
  rounds: readonly Figures[];
}

export interface Table {
  title: string;
  rows: readonly Row[];
}

export interface Report {
  facts: Readonly<Record<string, string | number>>;
  tables: readonly Table[];
}

/** A table of medians over the rounds, as text. */
export function printTable({ title, rows }: Table): string {
  const headings = Object.keys(rows[0]?.rounds[0] ?? {});
  const cells = rows.map((row) => [row.name, ...headings.map((heading) => show(medianOf(row, heading)))]);
  const lines = [["", ...headings], ...cells];
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  const text = lines.map((line) =>
    line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))),
  );
  return `${title}\n${text.map((line) => `  ${line.join("  ")}`.trimEnd()).join("\n")}\n`;
}

/** Writes everything that was measured as JSON into a directory; answers the path of the file. */
export async function saveReport(report: Report, dir: string): Promise<string> {
  const tables = report.tables.map(({ title, rows }) => ({
    title,
    rows: rows.map((row) => {
      const headings = Object.keys(row.rounds[0] ?? {});
      return { ...row, medians: Object.fromEntries(headings.map((heading) => [heading, medianOf(row, heading)])) };
    }),
  }));
  await mkdir(dir, { recursive: true });
  const path = join(dir, `${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.json`);
  await writeFile(path, `${JSON.stringify({ facts: report.facts, tables }, null, 2)}\n`);
  return path;
}

function medianOf(row: Row, heading: string): number {
  return median(row.rounds.map((figures) => figures[heading] ?? 0));
}

function show(value: number): string {
  if (Number.isInteger(value)) return String(value);
  return value.toFixed(value >= 100 ? 0 : 2);
}
