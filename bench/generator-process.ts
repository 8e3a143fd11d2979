import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { Answer, Job, Results } from "./generator.ts";

/** The load generator as its own process, so that neither the server nor the report share its event loop. */
export class GeneratorProcess implements AsyncDisposable {
  readonly #child: ChildProcess = fork(new URL("./generator.ts", import.meta.url));

  /** Runs one job. Rejects when the load could not be put on, and when the process was ended meanwhile. */
  async run<J extends Job>(job: J): Promise<Results[J["kind"]]> {
    if (this.#hasEnded) throw new Error("The load generator has ended");
    const stop = new AbortController();
    const ended = once(this.#child, "exit", { signal: stop.signal }).then(() => {
      throw new Error("The load generator ended");
    });
    const answered = once(this.#child, "message", { signal: stop.signal }) as Promise<[Answer]>;
    this.#child.send(job);
    try {
      const [answer] = await Promise.race([answered, ended]);
      if ("error" in answer) throw new Error(answer.error);
      return answer.result as Results[J["kind"]];
    } finally {
      stop.abort();
      await Promise.allSettled([answered, ended]);
    }
  }

  /** Ends the process at once; a job that runs is rejected. */
  end(): void {
    this.#child.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#hasEnded) return;
    const ended = once(this.#child, "exit");
    this.end();
    await ended;
  }

  get #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }
}
