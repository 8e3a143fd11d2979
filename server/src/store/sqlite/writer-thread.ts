import { Worker } from "node:worker_threads";
import { Refusal } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import { maxUnparsedBytes, type CommittedMail, type NewMail, type NewMailRecipient } from "../store.ts";
import type { Operations } from "./operations.ts";
import { packJobs } from "./packed-jobs.ts";
import type { RawFileSizes } from "./raw-file.ts";
import type { FromWriter, Job, Outcome, ToWriter, WriterStart } from "./writer-messages.ts";

export interface WriterThreadOptions {
  file: string;
  log: Logger | undefined;
  /** Called after each transaction, before its jobs are answered, with the bytes of the write-ahead log that are in use. */
  onCommit(logBytes: number): void;
  /** Called after each transaction that did more than store mails, before its jobs are answered. */
  onChange(): void;
  /** Called within 500 ms after somebody else has changed the database; sometimes also when nobody has. */
  onForeignChange(): void;
  /** Left out where all raw mails stay in the database. */
  rawFiles?: RawFileSizes | undefined;
  /** Called after each transaction while a raw file is needed, with how much of the last one is used, from 0 to 1. */
  onRawFileWanted?(used: number): void;
  /** The thread's code; the writer's own when absent. */
  script?: URL;
}

/** Gets the outcome of one job; `null` when its thread died. */
type Waiting = (outcome: Outcome | null) => void;

const firstRestartDelayMs = 100;
const maxRestartDelayMs = 5_000;

/**
 * The one writer of a database, in its own thread. What is asked for in one turn of the event loop goes over in one
 * message; answers come in the order of the questions. When the thread dies, everything unanswered is refused
 * `store_failed` and a new thread is started, later and later (100 ms to 5 s) as long as that does not help.
 */
export class WriterThread implements AsyncDisposable {
  readonly #options: WriterThreadOptions;
  /** `null` while there is no thread that takes jobs. */
  #worker: Worker | null = null;
  #ended: Promise<void> = Promise.resolve();
  #waiting: Waiting[] = [];
  #outbox: Job[] = [];
  #finishing: (() => void)[] = [];
  #pendingMails = 0;
  #pendingBytes = 0;
  #hasStarted = false;
  #isClosing = false;
  #restartDelayMs = firstRestartDelayMs;
  #restartTimer: NodeJS.Timeout | undefined;

  private constructor(options: WriterThreadOptions) {
    this.#options = options;
  }

  /** Resolves once the thread has opened its database. Throws an `Error` with one clear line when it cannot. */
  static async start(options: WriterThreadOptions): Promise<WriterThread> {
    const writer = new WriterThread(options);
    await writer.#launch();
    return writer;
  }

  /** Mails and raw bytes that are not answered yet. */
  pending(): { mails: number; bytes: number } {
    return { mails: this.#pendingMails, bytes: this.#pendingBytes };
  }

  /** Store.commit. */
  commit(mail: NewMail): Promise<CommittedMail> {
    // A transferred buffer reads as empty: without this, committing a large mail twice would store an empty one.
    if (mail.raw.buffer.detached) return Promise.reject(new TypeError("the raw bytes of this mail were given away"));
    if (mail.content === null && mail.raw.length > maxUnparsedBytes) {
      return Promise.reject(new TypeError("a mail as large as this is stored with its content"));
    }
    const { recipients } = mail;
    const bytes = mail.raw.length;
    this.#pendingMails++;
    this.#pendingBytes += bytes;
    return new Promise((resolve, reject) => {
      this.#send({ kind: "mail", mail }, (outcome) => {
        this.#pendingMails--;
        this.#pendingBytes -= bytes;
        if (typeof outcome === "number") resolve(committedMail(recipients, [outcome]));
        else if (Array.isArray(outcome)) resolve(committedMail(recipients, outcome));
        else reject(refusalOf(outcome));
      });
    });
  }

  /** Any other change, by its name in the store contract. */
  call<Name extends keyof Operations>(
    name: Name,
    input: Parameters<Operations[Name]>[1],
  ): Promise<ReturnType<Operations[Name]>> {
    return new Promise((resolve, reject) => {
      this.#send({ kind: "call", name, input }, (outcome) => {
        if (isDone(outcome)) resolve(outcome.value as ReturnType<Operations[Name]>);
        else reject(refusalOf(outcome));
      });
    });
  }

  /** Store.beginCommit. */
  flush(): void {
    const jobs = this.#outbox;
    if (jobs.length === 0) return;
    this.#outbox = [];
    try {
      const { packed, transfers } = packJobs(jobs);
      this.#post({ kind: "jobs", jobs: packed }, transfers);
    } catch (error) {
      // Only a caller's mistake gets here (one buffer given twice); these jobs were never sent.
      this.#options.log?.error({ err: error }, "The store could not hand jobs to its writer");
      for (const waiting of this.#waiting.splice(this.#waiting.length - jobs.length)) waiting(null);
    }
  }

  /**
   * Lets the thread copy the rest of the log into the database and start the log anew. Resolves when it has, or could not; the
   * next {@link WriterThreadOptions.onCommit} says how much of the log is in use then.
   */
  finishCheckpoint(): Promise<void> {
    if (this.#worker === null) return Promise.resolve();
    this.#post({ kind: "finish-checkpoint" });
    return new Promise((resolve) => this.#finishing.push(resolve));
  }

  /** Hands over a raw file that was made. One that comes too late lies there until the next start. */
  offerRawFile(id: number): void {
    if (!this.#isClosing) this.#post({ kind: "raw-file", id });
  }

  /** Refuses what comes from now on, lets everything asked for before finish, and ends the thread. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isClosing) {
      this.flush();
      this.#isClosing = true;
      clearTimeout(this.#restartTimer);
      this.#post({ kind: "close" });
    }
    await this.#ended;
  }

  #send(job: Job, waiting: Waiting): void {
    if (this.#worker === null || this.#isClosing) {
      waiting(null);
      return;
    }
    if (this.#outbox.length === 0) setImmediate(() => this.flush());
    this.#outbox.push(job);
    this.#waiting.push(waiting);
  }

  #post(message: ToWriter, transfers: ArrayBuffer[] = []): void {
    this.#worker?.postMessage(message, transfers);
  }

  #launch(): Promise<void> {
    const { file, rawFiles = null, script = new URL("./writer.ts", import.meta.url) } = this.#options;
    const start: WriterStart = { file, rawFiles };
    const worker = new Worker(script, { workerData: start, name: "store-writer" });
    const ready = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    this.#ended = ended.promise;
    worker.on("message", (message: FromWriter) => {
      if (message.kind === "outcomes") {
        this.#settle(message.outcomes, message.logBytes);
        if (message.rawFileNeed !== null) this.#options.onRawFileWanted?.(message.rawFileNeed);
      } else if (message.kind === "foreign-change") this.#options.onForeignChange();
      else if (message.kind === "checkpoint-finished") this.#finishing.shift()?.();
      else if (message.kind === "unusable") ready.reject(new Error(message.reason));
      else {
        this.#onReady(worker);
        ready.resolve();
      }
    });
    worker.on("error", (error) => this.#options.log?.error({ err: error }, "The store's writer failed"));
    worker.on("exit", () => {
      ready.reject(new Error(`The writer of the database in ${file} stopped.`));
      ended.resolve();
      this.#onExit();
    });
    return ready.promise;
  }

  #onReady(worker: Worker): void {
    this.#worker = worker;
    this.#hasStarted = true;
    if (this.#isClosing) this.#post({ kind: "close" });
  }

  #onExit(): void {
    this.#worker = null;
    this.#outbox = [];
    for (const waiting of this.#waiting.splice(0)) waiting(null);
    for (const finished of this.#finishing.splice(0)) finished();
    if (this.#isClosing || !this.#hasStarted) return;
    this.#options.log?.error({ delayMs: this.#restartDelayMs }, "The store's writer stopped and is started again");
    this.#restartTimer = setTimeout(() => {
      this.#launch().catch((error: unknown) => this.#options.log?.error({ err: error }, "The store cannot be opened"));
    }, this.#restartDelayMs);
    this.#restartDelayMs = Math.min(maxRestartDelayMs, this.#restartDelayMs * 2);
  }

  #settle(outcomes: readonly Outcome[], logBytes: number): void {
    const settled = this.#waiting.splice(0, outcomes.length);
    this.#options.onCommit(logBytes);
    if (outcomes.some(isDone)) this.#options.onChange();
    let failed: string | null = null;
    settled.forEach((waiting, index) => {
      const outcome = outcomes[index] ?? null;
      if (isRefused(outcome) && outcome.errorName === "store_failed") failed = outcome.detail;
      waiting(outcome);
    });
    if (failed === null) this.#restartDelayMs = firstRestartDelayMs;
    else this.#options.log?.error({ reason: failed }, "The store could not complete a change");
  }
}

function committedMail(recipients: readonly NewMailRecipient[], ids: readonly number[]): CommittedMail {
  const delivered: { userId: number; mailboxId: number; mailTo: string; id: number }[] = [];
  const gone: NewMailRecipient[] = [];
  recipients.forEach((recipient, index) => {
    const id = ids[index] ?? 0;
    const { userId, mailboxId, mailTo } = recipient;
    if (id === 0) gone.push(recipient);
    else delivered.push({ userId, mailboxId, mailTo, id });
  });
  return { delivered, gone };
}

function isDone(outcome: Outcome | null): outcome is Extract<Outcome, { kind: "done" }> {
  return typeof outcome === "object" && outcome !== null && "kind" in outcome && outcome.kind === "done";
}

function isRefused(outcome: Outcome | null): outcome is Extract<Outcome, { kind: "refused" }> {
  return typeof outcome === "object" && outcome !== null && "kind" in outcome && outcome.kind === "refused";
}

function refusalOf(outcome: Outcome | null): Refusal {
  if (!isRefused(outcome)) return new Refusal("store_failed");
  const { errorName, detail } = outcome;
  return detail === null ? new Refusal(errorName) : new Refusal(errorName, { cause: new Error(detail) });
}
