import { medianOf, showNumber } from "./comparison.ts";
import type { PeersResult } from "./result.ts";
import { judgeTargets } from "./target.ts";
import { sittings } from "./workload.ts";

/** Medians and verdicts as text, for a terminal. */
export function summaryOf(result: PeersResult): string {
  const workloads = sittings.flatMap((sitting) => sitting.workloads);
  const medians = result.peers.map(({ name, title }) => [
    title,
    ...workloads.map(({ name: workload, main }) => {
      const value = medianOf(result, name, workload, main);
      return value === null ? "" : showNumber(value);
    }),
  ]);
  const verdicts = judgeTargets(result).map(({ what, target, found, verdict }) => [what, target, found, verdict]);
  const head = ["", ...workloads.map(({ name, main }) => `${name} ${main}`)];
  return `${alignCells([head, ...medians])}\n\n${alignCells(verdicts)}\n`;
}

function alignCells(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
