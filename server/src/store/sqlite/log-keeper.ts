import type { Logger } from "../../log.ts";
import { CopierThread } from "./copier-thread.ts";

/**
 * The write-ahead log is copied back once this much of it is in use. Small enough to be read in a moment after a crash;
 * big enough that pages that every mail changes are copied once for thousands of mails.
 */
const fullLogBytes = 64 * 1024 * 1024;
const maxRounds = 4;
const shortCopyMs = 10;

/**
 * Keeps the write-ahead log short without holding up intake: a thread of its own copies the log back while the writer
 * goes on, and only the little that was added meanwhile is left for the writer, who can then start the log anew.
 */
export class LogKeeper implements AsyncDisposable {
  readonly #copier: CopierThread;
  readonly #log: Logger | undefined;
  #copying: Promise<void> | null = null;
  #isClosing = false;

  constructor(file: string, log: Logger | undefined) {
    this.#copier = new CopierThread(file);
    this.#log = log;
  }

  /** Takes note of how much of the log is in use; calls `finish` when the writer's part of a copy is due. */
  note(logBytes: number, finish: () => void): void {
    if (logBytes < fullLogBytes || this.#copying !== null || this.#isClosing) return;
    this.#copying = this.#copyBack()
      .then(finish)
      .catch((error: unknown) => this.#log?.warn({ err: error }, "The write-ahead log could not be copied back"))
      .finally(() => (this.#copying = null));
  }

  /** Again while a copy takes long: the more was added meanwhile, the longer the writer's part would hold intake up. */
  async #copyBack(): Promise<void> {
    for (let round = 0; round < maxRounds && !this.#isClosing; round++) {
      const startedMs = performance.now();
      await this.#copier.run({ kind: "checkpoint" });
      if (performance.now() - startedMs < shortCopyMs) return;
    }
  }

  /** Resolves when no copy is running any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true;
    await this.#copying;
    await this.#copier[Symbol.asyncDispose]();
  }
}
