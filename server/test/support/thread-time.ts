/** CPU time that `work` takes in this thread, in milliseconds: unlike the clock it does not count what other programs do. */
export function cpuMs(work: () => void): number {
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
}

/** {@link cpuMs} of the fastest of five runs: the first ones wait for the compiler, any may be disturbed. */
export function fastestMs(work: () => void): number {
  return Math.min(...Array.from({ length: 5 }, () => cpuMs(work)));
}
