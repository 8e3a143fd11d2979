/** How many numbers lie, mostly times in milliseconds. All 0 when there are none. */
export interface Distribution {
  p50: number;
  p99: number;
  p999: number;
  max: number;
}

/** Percentiles by the nearest rank: each is a value that really occurred. */
export function distribution(values: readonly number[]): Distribution {
  const sorted = Float64Array.from(values).toSorted();
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) };
}

/** The middle value, or the mean of the two in the middle; 0 when there are none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}
