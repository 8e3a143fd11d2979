import type { Fault } from "./fault.ts";
import { addFindings, countFaults, faultNames, noFindings, type Findings } from "./findings.ts";

/** What became of one kind of fault in a run. */
export interface Outcome {
  fault: Fault;
  /** Why it was not inflicted; `null` when it was. */
  skipped: string | null;
  findings: Findings;
  /** Of the control; `null` when that did not run. */
  control: Findings | null;
  seconds: number;
}

const counts = ["times", "acknowledged", "unknown", "refused", "repeated"] as const;

/** True when no promise was broken and every control that ran was noticed. */
export function isClean(outcomes: readonly Outcome[]): boolean {
  return outcomes.every(
    ({ findings, control }) => countFaults(findings) === 0 && (control === null || countFaults(control) > 0),
  );
}

/** The outcomes as a table in Markdown, padded so that it reads well as it is. */
export function printTable(outcomes: readonly Outcome[]): string {
  const titles = ["fault", "times", "acknowledged", "no reply", "refused", "repeated", ...faultNames, "else"];
  const total = noFindings();
  for (const { findings } of outcomes) addFindings(total, findings);
  const ofAll = ["**all**", ...numbersOf(total), "", seconds(outcomes.reduce((sum, one) => sum + one.seconds, 0))];
  const rows = [[...titles, "control found", "s"], ...outcomes.map(rowOf), ofAll];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length))) ?? [];
  const [head = "", ...body] = rows.map(
    (row) => `| ${row.map((cell, column) => pad(cell, widths[column] ?? 0, column)).join(" | ")} |`,
  );
  const rule = `| ${widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)).join(" | ")} |`;
  const notes = outcomes.flatMap(({ fault, skipped }) => (skipped === null ? [] : [`\`${fault.name}\`: ${skipped}.`]));
  return [head, rule, ...body, ...(notes.length === 0 ? [] : ["", "Not inflicted:", ...notes])].join("\n");
}

/** What broke, at most ten of a kind; empty when nothing did. */
export function describeFaults(outcomes: readonly Outcome[]): string {
  const lines = outcomes.flatMap(({ fault, findings, control }) => [
    ...faultNames.flatMap((name) =>
      findings.verdict[name].slice(0, 10).map((mail) => `${fault.name}: ${name}: ${mail}`),
    ),
    ...findings.broken.slice(0, 10).map((text) => `${fault.name}: ${text}`),
    ...(control !== null && countFaults(control) === 0
      ? [`${fault.name}: the control was not noticed: ${fault.control.about}`]
      : []),
  ]);
  return lines.join("\n");
}

function rowOf({ fault, skipped, findings, control, seconds: duration }: Outcome): string[] {
  const name = `\`${fault.name}\``;
  if (skipped !== null) return [name, "skipped", ...Array<string>(counts.length + faultNames.length + 1).fill(""), ""];
  return [name, ...numbersOf(findings), control === null ? "not run" : describeControl(control), seconds(duration)];
}

function numbersOf(findings: Findings): string[] {
  return [
    ...counts.map((name) => count(findings[name])),
    ...faultNames.map((name) => count(findings.verdict[name].length)),
    count(findings.broken.length),
  ];
}

function describeControl(control: Findings): string {
  const found = faultNames.flatMap((name) =>
    control.verdict[name].length === 0 ? [] : [`${count(control.verdict[name].length)} ${name}`],
  );
  if (control.broken.length > 0) found.push(`${count(control.broken.length)} else`);
  return found.length === 0 ? "NOTHING" : found.join(", ");
}

function count(value: number): string {
  return value.toLocaleString("en");
}

function seconds(value: number): string {
  return value.toFixed(0);
}

function pad(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}
