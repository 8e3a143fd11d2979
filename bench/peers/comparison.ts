import { median } from "../distribution.ts";
import type { PeersResult } from "./result.ts";

/** The peer that all others are compared with. */
export const ownName = "catmails";

/** How often one side's figure goes into the other's. */
export interface Ratio {
  /** Of the medians. */
  ofMedians: number;
  /** The least and the greatest of the rounds. */
  least: number;
  greatest: number;
}

/** A figure of one peer in every round that has it, by round. */
function valuesOf(
  { samples }: PeersResult,
  peer: string,
  workload: string,
  heading: string,
): ReadonlyMap<number, number> {
  const values = new Map<number, number>();
  for (const sample of samples) {
    const value = sample.figures[heading];
    if (sample.peer === peer && sample.workload === workload && value !== undefined) values.set(sample.round, value);
  }
  return values;
}

/** The median of the rounds; `null` when there is none. */
export function medianOf(result: PeersResult, peer: string, workload: string, heading: string): number | null {
  const values = [...valuesOf(result, peer, workload, heading).values()];
  return values.length === 0 ? null : median(values);
}

/**
 * Our rate divided by a peer's; for times a peer's divided by ours, so that more is always better for us. Only rounds that
 * have both count; `null` when none has.
 */
export function ratioTo(
  result: PeersResult,
  peer: string,
  { workload, heading, isRate }: { workload: string; heading: string; isRate: boolean },
): Ratio | null {
  const own = valuesOf(result, ownName, workload, heading);
  const other = valuesOf(result, peer, workload, heading);
  const rounds = [...own.keys()].filter((round) => other.has(round));
  if (rounds.length === 0) return null;
  const pairs = rounds.map((round) => ({ own: own.get(round) ?? 0, other: other.get(round) ?? 0 }));
  const divide = (pair: { own: number; other: number }): number =>
    isRate ? pair.own / pair.other : pair.other / pair.own;
  const ratios = pairs.map(divide);
  return {
    ofMedians: divide({ own: median(pairs.map((pair) => pair.own)), other: median(pairs.map((pair) => pair.other)) }),
    least: Math.min(...ratios),
    greatest: Math.max(...ratios),
  };
}

/** As `8.3 (7.9 to 8.8)`. */
export function showRatio({ ofMedians, least, greatest }: Ratio): string {
  return `${showNumber(ofMedians)} (${showNumber(least)} to ${showNumber(greatest)})`;
}

/** Three digits that count, with separators from a thousand on. */
export function showNumber(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return value === 0 ? "0" : String(Number(value.toPrecision(value < 1 ? 2 : 3)));
}
