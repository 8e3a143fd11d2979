import { setTimeout as delay } from "node:timers/promises";

const deadlineMs = 60_000;

/** Waits for something that nobody announces; rejects after a minute. */
export async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const givesUpMs = performance.now() + deadlineMs;
  while (!(await isTrue())) {
    if (performance.now() > givesUpMs) throw new Error(`waited a minute until ${what}`);
    await delay(5);
  }
}
