import assert from "node:assert/strict";

/** CPU time that `work` takes in this thread, in milliseconds: unlike the clock it does not count what other programs do. */
export function cpuMs(work: () => void): number {
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
}

const maxRounds = 30;
/** Less than this is too short to be compared: the square of any input that is given here takes far more. */
const measurableMs = 40;

/**
 * Asserts that four times the input costs about four times the time; quadratic work costs sixteen times. The fastest of as
 * many rounds as it takes: any single one may wait for the compiler, the garbage collector or a neighbour's cache.
 */
export function assertLinear(name: string, work: { once: () => void; fourTimes: () => void }): void {
  let onceMs = Infinity;
  let fourTimesMs = Infinity;
  for (let round = 0; round < maxRounds; round++) {
    onceMs = Math.min(onceMs, cpuMs(work.once));
    fourTimesMs = Math.min(fourTimesMs, cpuMs(work.fourTimes));
    if (round > 0 && (fourTimesMs < measurableMs || fourTimesMs < onceMs * 10)) return;
  }
  assert.fail(`${name}: ${onceMs.toFixed(1)} ms, and ${fourTimesMs.toFixed(1)} ms for four times the input`);
}
