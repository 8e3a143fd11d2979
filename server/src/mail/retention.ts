import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { Store, User } from "../store/store.ts";

export interface RetentionOptions {
  store: Store;
  log: Logger;
  metrics: Metrics;
  /** Mails older than this go; 0 is never. */
  maxAgeMs: number;
  /** Mails of a user beyond the newest so many go; 0 is never. */
  maxCount: number;
  /** How long the chosen name of an expired temp mailbox stays reserved. */
  nameReservedMs: number;
}

/** Temp mailboxes go within this time of their expiry, and their mails start to. */
const expiryIntervalMs = 1000;
/** Mails beyond age or count go within about this time. */
const trimIntervalMs = 60_000;
// One step is one short transaction between two of the intake's; measured at 1 to 5 ms for ordinary mails.
const stepRows = 100;
/**
 * The pause after a step is so many times as long as the step took, its wait for the intake's transactions included: deleting takes about
 * a quarter of the time, whatever the machine. Measured with 4 KB and 50 connections: 9,500 mails a second go while 9,100 come, and
 * 13,000 where none come.
 */
const pausePerStep = 3;
/** No longer than this, so that deleting keeps up where steps wait long because the store is overloaded; it takes more of the time there. */
const maxPauseMs = 10;
const userPage = 200;

/** Deletes what is past its time, in small steps with pauses, so that mail coming in does not notice. */
export class Retention implements AsyncDisposable {
  readonly #options: RetentionOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<unknown>;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#running = Promise.all([
      this.#repeat(expiryIntervalMs, () => this.#expire()),
      this.#repeat(trimIntervalMs, () => this.#trim()),
    ]);
  }

  /** Stops after the step that is running. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #repeat(intervalMs: number, work: () => Promise<void>): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await work();
      } catch (error) {
        if (!this.#stop.signal.aborted)
          this.#options.log.error({ err: error }, "Retention could not run; it tries again");
      }
      await this.#pause(intervalMs);
    }
  }

  async #expire(): Promise<void> {
    const { store, nameReservedMs, metrics } = this.#options;
    await this.#inSteps((limit) => store.expireMailboxes({ nowMs: Date.now(), reserveMs: nameReservedMs, limit }));
    const purged = await this.#inSteps((limit) => store.purge({ nowMs: Date.now(), limit }));
    if (purged > 0) metrics.mailsDeleted.inc({ reason: "mailbox" }, purged);
    await store.reclaim(Date.now());
  }

  async #trim(): Promise<void> {
    const { store, maxAgeMs, maxCount, metrics } = this.#options;
    if (maxAgeMs === 0 && maxCount === 0) return;
    const beforeMs = maxAgeMs === 0 ? 0 : Date.now() - maxAgeMs;
    for await (const user of this.#users()) {
      const gone = await this.#inSteps((limit) => store.trimMails({ userId: user.id, beforeMs, maxCount, limit }));
      if (gone > 0) metrics.mailsDeleted.inc({ reason: "retention" }, gone);
    }
  }

  async *#users(): AsyncGenerator<User> {
    let afterId = 0;
    while (!this.#stop.signal.aborted) {
      const page = await this.#options.store.listUsers({ afterId, limit: userPage });
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < userPage) return;
      afterId = last.id;
    }
  }

  /** Repeats a step until it finds nothing; answers how much went. */
  async #inSteps(step: (limit: number) => Promise<number>): Promise<number> {
    let total = 0;
    while (!this.#stop.signal.aborted) {
      const startedMs = performance.now();
      const done = await step(stepRows);
      total += done;
      if (done === 0) break;
      await this.#pause(Math.min(maxPauseMs, pausePerStep * (performance.now() - startedMs)));
    }
    return total;
  }

  async #pause(ms: number): Promise<void> {
    // Rejects only when it is aborted, which every loop's condition sees.
    await delay(ms, undefined, { ref: false, signal: this.#stop.signal }).catch(() => undefined);
  }
}
