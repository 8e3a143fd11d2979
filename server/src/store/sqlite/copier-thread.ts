import { Worker } from "node:worker_threads";
import { messageOf, Refusal } from "../../errors.ts";
import type { CopierStart, CopyAnswer, CopyTask } from "./copier.ts";

/** A thread that copies pages of one database, one task after the other. Started by its first task. */
export class CopierThread implements AsyncDisposable {
  readonly #file: string;
  #worker: Worker | null = null;
  #ended: Promise<void> = Promise.resolve();
  #waiting: ((reason: string | null) => void)[] = [];

  constructor(file: string) {
    this.#file = file;
  }

  /** Resolves when the task is done. Throws `store_failed` when it failed; nothing is left of it then. */
  run(task: CopyTask): Promise<void> {
    const worker = this.#worker ?? this.#launch();
    return new Promise((resolve, reject) => {
      this.#waiting.push((reason) => {
        if (reason === null) resolve();
        else reject(new Refusal("store_failed", { cause: new Error(reason), detail: reason }));
      });
      worker.postMessage(task);
    });
  }

  /** Ends the thread after the tasks it has. */
  async [Symbol.asyncDispose](): Promise<void> {
    const task: CopyTask = { kind: "close" };
    this.#worker?.postMessage(task);
    await this.#ended;
  }

  #launch(): Worker {
    const start: CopierStart = { file: this.#file };
    const worker = new Worker(new URL("./copier.ts", import.meta.url), { workerData: start, name: "store-copier" });
    const ended = Promise.withResolvers<void>();
    let failure = "the copying thread stopped";
    worker.on("message", (answer: CopyAnswer) => this.#waiting.shift()?.(answer.reason));
    worker.on("error", (error) => (failure = messageOf(error)));
    worker.on("exit", () => {
      this.#worker = null;
      for (const settle of this.#waiting.splice(0)) settle(failure);
      ended.resolve();
    });
    this.#worker = worker;
    this.#ended = ended.promise;
    return worker;
  }
}
