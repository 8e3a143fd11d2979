import type { House } from "./house.ts";
import { until } from "./until.ts";

interface Metric {
  get(): Promise<{ values: readonly { value: number; labels: Partial<Record<string, string | number>> }[] }>;
}

/** Value of a counter or gauge with this first label; 0 where it was never counted. */
export async function readMetric(metric: Metric, label?: string): Promise<number> {
  const { values } = await metric.get();
  return values.find(({ labels }) => label === undefined || Object.values(labels)[0] === label)?.value ?? 0;
}

/** Resolves once so many waits and sockets are open: the moment after which a mail reaches them live. */
export async function followers(house: House, count: number): Promise<void> {
  await until(`${count} follow`, async () => (await readMetric(house.metrics.followers)) === count);
}
