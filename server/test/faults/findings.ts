import { faultless, type Verdict } from "./verdict.ts";

/** What came out of one or many times of a fault. */
export interface Findings {
  /** How often the fault was inflicted. */
  times: number;
  /** Tries by how they ended: `unknown` saw no reply, or a 4yz after the final dot. */
  acknowledged: number;
  unknown: number;
  refused: number;
  /** Copies found. */
  found: number;
  pushed: number;
  verdict: Verdict;
  /** Further copies that are no fault; see `Judgement`. */
  repeated: number;
  /** Every other promise that was broken, in words. */
  broken: string[];
}

/** Findings of nothing at all, to add to. */
export function noFindings(): Findings {
  return {
    times: 0,
    acknowledged: 0,
    unknown: 0,
    refused: 0,
    found: 0,
    pushed: 0,
    verdict: structuredClone(faultless),
    repeated: 0,
    broken: [],
  };
}

/** Adds findings to others, in place. */
export function addFindings(sum: Findings, more: Partial<Findings>): void {
  for (const name of ["times", "acknowledged", "unknown", "refused", "found", "pushed", "repeated"] as const) {
    sum[name] += more[name] ?? 0;
  }
  for (const name of faultNames) sum.verdict[name].push(...(more.verdict?.[name] ?? []));
  sum.broken.push(...(more.broken ?? []));
}

/** Names of the faults of a verdict, in the order of the reports. */
export const faultNames = Object.keys(faultless) as (keyof Verdict)[];

/** How many faults there are, of whatever kind. */
export function countFaults({ verdict, broken }: Findings): number {
  return faultNames.reduce((sum, name) => sum + verdict[name].length, broken.length);
}

/** One line about findings for people. */
export function describeFindings(findings: Findings): string {
  const { acknowledged, unknown, refused, repeated, verdict, broken } = findings;
  const faults = faultNames.map((name) => `${verdict[name].length} ${name}`).join(", ");
  const counts = `${acknowledged} acknowledged, ${unknown} without a reply, ${refused} refused or unfinished`;
  return [`${counts}, ${repeated} repeated: ${faults}`, ...broken.slice(0, 5)].join("\n    ");
}
