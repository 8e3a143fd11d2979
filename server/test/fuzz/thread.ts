import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { largestInputBytes } from "./target.ts";

export interface Setup {
  /** URL of the module that exports `targets`. */
  module: string;
  memory: SharedArrayBuffer;
}

/** Runs of one target go on where its last ones with the same seed ended. */
export type Order =
  | { kind: "run"; name: string; seed: number; runs: number }
  | { kind: "try"; name: string; input: Uint8Array };

export interface Failure {
  input: Uint8Array;
  why: string;
}

export interface Report {
  runs: number;
  failure: Failure | null;
}

const runs = 0;
const isChecking = 1;
const length = 2;
const headerBytes = 12;

/** What a thread is at, in memory that others can read while it hangs. */
export class Watch {
  readonly #state: Int32Array;
  readonly #bytes: Uint8Array;

  constructor(memory: SharedArrayBuffer) {
    this.#state = new Int32Array(memory, 0, 3);
    this.#bytes = new Uint8Array(memory, headerBytes);
  }

  static memory(): SharedArrayBuffer {
    return new SharedArrayBuffer(headerBytes + largestInputBytes);
  }

  /** Only checks count: what making inputs takes is not the parser's time. */
  get isChecking(): boolean {
    return Atomics.load(this.#state, isChecking) === 1;
  }

  /** Changes with each input. */
  get runs(): number {
    return Atomics.load(this.#state, runs);
  }

  begin(input: Uint8Array): void {
    this.#bytes.set(input);
    Atomics.store(this.#state, length, input.length);
    Atomics.add(this.#state, runs, 1);
    Atomics.store(this.#state, isChecking, 1);
  }

  end(): void {
    Atomics.store(this.#state, isChecking, 0);
  }

  /** A copy of the last input. */
  input(): Uint8Array {
    return Uint8Array.from(this.#bytes.subarray(0, Atomics.load(this.#state, length)));
  }
}

const lookMs = 100;

/** Runs targets, one order at a time, in a thread that can be cut off in the middle of whatever it does. */
export class FuzzThread implements AsyncDisposable {
  readonly #setup: Setup;
  readonly #hangMs: number;
  #worker: Worker | null = null;

  /** `module`: URL of what exports `targets`. `hangMs`: longest time for one input. */
  constructor(module: string, hangMs: number) {
    this.#setup = { module, memory: Watch.memory() };
    this.#hangMs = hangMs;
  }

  /** Obeys; an input that takes longer than allowed is a failure, and the thread is replaced for the next order. */
  async obey(order: Order): Promise<Report> {
    this.#worker ??= new Worker(new URL("./worker.ts", import.meta.url), { workerData: this.#setup });
    const worker = this.#worker;
    const done = new AbortController();
    const hang = this.#watchFor(done.signal);
    worker.postMessage(order);
    try {
      const answer = once(worker, "message", { signal: done.signal }).then(([report]) => report as Report);
      const report = await Promise.race([answer, hang.then(() => null)]);
      if (report !== null) return report;
      answer.catch(() => undefined);
      const input = new Watch(this.#setup.memory).input();
      await this[Symbol.asyncDispose]();
      return { runs: 0, failure: { input, why: `it takes more than ${this.#hangMs} ms` } };
    } finally {
      done.abort();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.terminate();
    this.#worker = null;
    // It could not say so itself.
    new Watch(this.#setup.memory).end();
  }

  /** Resolves once the thread has been at one input for too long; never after the signal. */
  #watchFor(signal: AbortSignal): Promise<void> {
    const watch = new Watch(this.#setup.memory);
    const { promise, resolve } = Promise.withResolvers<void>();
    let seen = -1;
    let since = 0;
    const timer = setInterval(() => {
      const now = performance.now();
      if (!watch.isChecking || watch.runs !== seen) {
        seen = watch.runs;
        since = now;
      } else if (now - since > this.#hangMs) resolve();
    }, lookMs);
    signal.addEventListener("abort", () => clearInterval(timer));
    return promise;
  }
}
