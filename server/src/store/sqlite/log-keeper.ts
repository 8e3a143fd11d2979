import type { Logger } from "../../log.ts";
import { CopierThread } from "./copier-thread.ts";

/**
 * The write-ahead log is copied back once this much of it is in use. Big enough that pages that every mail changes are copied
 * once for a thousand mails; small enough that intake does not feel it: SQLite syncs the database only in the copy that ends
 * with the log, which is the writer's part, and all that was copied since the last time is written to the disk then
 * (measured at 5,000 mails a second: 22 ms for 64 MiB, 4.4 for 16, 2 to 4 for 8, at the same processor time).
 */
const fullLogBytes = 8 * 1024 * 1024;
const maxRounds = 4;
/** The copying thread is ended when there was nothing to copy for this long: it holds some 20 MB. */
const defaultRestMs = 10_000;
const shortCopyMs = 10;

/**
 * Keeps the write-ahead log short without holding up intake: a thread of its own copies the log back while the writer
 * goes on, and only the little that was added meanwhile is left for the writer, who can then start the log anew.
 */
export class LogKeeper implements AsyncDisposable {
  readonly #file: string;
  readonly #log: Logger | undefined;
  readonly #restMs: number;
  #copier: CopierThread | null = null;
  #copying: Promise<void> | null = null;
  #restTimer: NodeJS.Timeout | undefined;
  #resting: Promise<void> = Promise.resolve();
  #isClosing = false;

  /** `restMs`: how long the thread is kept with nothing to do. Default 10 s. */
  constructor(file: string, log: Logger | undefined, restMs = defaultRestMs) {
    this.#file = file;
    this.#log = log;
    this.#restMs = restMs;
  }

  /**
   * Takes note of how much of the log is in use; calls `finish` when the writer's part of a copy is due.
   * Until `finish` is done nothing else is begun: what was noted meanwhile is of the log that is being ended.
   */
  note(logBytes: number, finish: () => Promise<void>): void {
    if (logBytes < fullLogBytes || this.#copying !== null || this.#isClosing) return;
    clearTimeout(this.#restTimer);
    this.#copying = this.#copyBack()
      .then(finish)
      .catch((error: unknown) => this.#log?.warn({ err: error }, "The write-ahead log could not be copied back"))
      .finally(() => {
        this.#copying = null;
        if (!this.#isClosing) this.#restTimer = setTimeout(() => this.#rest(), this.#restMs).unref();
      });
  }

  /** Again while a copy takes long: the more was added meanwhile, the longer the writer's part would hold intake up. */
  async #copyBack(): Promise<void> {
    for (let round = 0; round < maxRounds && !this.#isClosing; round++) {
      const startedMs = performance.now();
      await (this.#copier ??= new CopierThread(this.#file)).run({ kind: "checkpoint" });
      if (performance.now() - startedMs < shortCopyMs) return;
    }
  }

  /** Resolves when no copy is running any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true;
    clearTimeout(this.#restTimer);
    await this.#copying;
    this.#rest();
    await this.#resting;
  }

  #rest(): void {
    const copier = this.#copier;
    this.#copier = null;
    if (copier !== null) this.#resting = copier[Symbol.asyncDispose]();
  }
}
