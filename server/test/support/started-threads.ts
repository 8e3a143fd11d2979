import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Worker } from "node:worker_threads";

/** The worker threads that this thread has started since, and how many of them still run. */
export class StartedThreads implements Disposable {
  /** Names, in the order of their start. */
  readonly names: string[] = [];
  running = 0;

  constructor() {
    subscribe("worker_threads", this.#note);
  }

  readonly #note = (message: unknown): void => {
    const { worker } = message as { worker: Worker };
    this.names.push(worker.threadName ?? "");
    this.running++;
    worker.once("exit", () => this.running--);
  };

  [Symbol.dispose](): void {
    unsubscribe("worker_threads", this.#note);
  }
}
