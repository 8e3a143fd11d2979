import { Worker } from "node:worker_threads";
import { copyForThread } from "../freed-bytes.ts";
import type { Defect } from "./defect.ts";
import type { WorkerAnswer } from "./parser-worker.ts";
import { summarizeHeader, summarizeMail, summarizeWithin, type MailSummary } from "./summary.ts";

/** Settings of a {@link MailParser}. */
export interface MailParserOptions {
  /**
   * Mails up to this size are parsed at once, in the calling thread, and so are those of up to 2 MiB of which no more than
   * this has to be decoded, nor more of headers gone through. Default 32 KiB; the worst mail takes some 10 ms.
   */
  readonly inlineBytes?: number;
  /** How long one mail may take in the worker, the start of the worker included. Default 5 s. */
  readonly timeoutMs?: number;
  /** How long a mail may wait for the worker before only its header is read. Default 10 s. */
  readonly maxWaitMs?: number;
  /** How many mails may wait for the worker; of any more only the header is read. Default 1,000. */
  readonly maxWaiting?: number;
  /** Heap of the worker in MiB; a mail that needs more breaks it. Default 512. */
  readonly workerHeapMb?: number;
  /** How long the worker is kept with nothing to do: an idle thread costs some 20 MB. Default 60 s. */
  readonly restMs?: number;
}

/**
 * A worker with a heap of this size is ended: it would hold what a mail left behind until its heap is half full. Mails of
 * text or with attachments stay far below, large ones of HTML do not.
 */
const exhaustedHeapBytes = 64 * 1024 * 1024;
/** What is not read of a mail of this size is passed over in the calling thread: to copy it for another takes longer. */
const passedOverBytes = 2 * 1024 * 1024;
/** Of the worker's heap; room for short-lived objects that nobody waits for is better spent elsewhere. */
const youngHeapMb = 8;

interface Job {
  readonly raw: Uint8Array;
  readonly queuedAtMs: number;
  readonly resolve: (summary: MailSummary) => void;
}

interface RunningJob {
  readonly job: Job;
  readonly timer: NodeJS.Timeout;
}

/**
 * Reads mails without holding up the event loop: those with little to read in the calling thread, others one after the other in a
 * worker thread, which is started on first use, does not keep the process alive while it has nothing to do, and is ended
 * when it has had nothing to do for long.
 *
 * A mail that takes too long (`parse_timeout`), breaks the worker (`parse_failed`), or finds too many others waiting
 * (`parser_busy`) is summarized by its header alone, with that defect. The worker's memory is limited, and it is
 * replaced when it was ended or broke. What waits is held by reference: it costs what the callers hold anyway.
 */
export class MailParser implements AsyncDisposable {
  readonly #inlineBytes: number;
  readonly #timeoutMs: number;
  readonly #maxWaitMs: number;
  readonly #maxWaiting: number;
  readonly #workerHeapMb: number;
  readonly #restMs: number;
  readonly #waiting: Job[] = [];
  #running: RunningJob | null = null;
  #worker: Worker | null = null;
  #restTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: MailParserOptions = {}) {
    this.#inlineBytes = options.inlineBytes ?? 32 * 1024;
    this.#timeoutMs = options.timeoutMs ?? 5_000;
    this.#maxWaitMs = options.maxWaitMs ?? 10_000;
    this.#maxWaiting = options.maxWaiting ?? 1_000;
    this.#workerHeapMb = options.workerHeapMb ?? 512;
    this.#restMs = options.restMs ?? 60_000;
  }

  /**
   * Summarizes a mail: at once when there is little to read in it, else by a promise that never rejects. `raw` is copied for the worker
   * and stays with the caller, who must not change it before the answer is there.
   */
  summarize(raw: Uint8Array): MailSummary | Promise<MailSummary> {
    if (raw.length <= this.#inlineBytes) return summarizeMail(raw);
    const summary = raw.length <= passedOverBytes ? summarizeWithin(raw, this.#inlineBytes) : null;
    if (summary !== null) return summary;
    if (this.#closed || this.#waiting.length >= this.#maxWaiting) return summarizeHeader(raw, "parser_busy");
    return new Promise((resolve) => {
      this.#waiting.push({ raw, queuedAtMs: performance.now(), resolve });
      this.#runNext();
    });
  }

  /** Ends the worker; mails that are still waiting are summarized by their header alone (`parser_busy`). */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const worker = this.#worker;
    this.#worker = null;
    this.#finish("parser_busy");
    clearTimeout(this.#restTimer);
    await worker?.terminate();
  }

  #runNext(): void {
    if (this.#running !== null) return;
    let job = this.#waiting.shift();
    while (job !== undefined && this.#isLate(job)) {
      job.resolve(summarizeHeader(job.raw, "parser_busy"));
      job = this.#waiting.shift();
    }
    if (job === undefined) return this.#rest();
    clearTimeout(this.#restTimer);
    const timer = setTimeout(() => this.#fail("parse_timeout"), this.#timeoutMs);
    this.#running = { job, timer };
    this.#worker ??= this.#startWorker();
    this.#worker.ref();
    const copy = copyForThread(job.raw);
    this.#worker.postMessage(copy, [copy.buffer]);
  }

  #rest(): void {
    if (this.#worker === null) return;
    this.#worker.unref();
    clearTimeout(this.#restTimer);
    this.#restTimer = setTimeout(() => this.#retireWorker(), this.#restMs).unref();
  }

  #isLate(job: Job): boolean {
    return this.#closed || performance.now() - job.queuedAtMs > this.#maxWaitMs;
  }

  #startWorker(): Worker {
    const url = new URL("./parser-worker.ts", import.meta.url);
    const resourceLimits = { maxOldGenerationSizeMb: this.#workerHeapMb, maxYoungGenerationSizeMb: youngHeapMb };
    const worker = new Worker(url, { name: "mime", resourceLimits });
    worker.on("message", ({ summary, heapBytes }: WorkerAnswer) => {
      if (this.#worker !== worker) return;
      if (heapBytes > exhaustedHeapBytes) this.#retireWorker();
      this.#finish(summary);
    });
    const broken = (): void => {
      if (this.#worker === worker) this.#fail("parse_failed");
    };
    worker.on("error", broken);
    worker.on("exit", broken);
    return worker;
  }

  #fail(reason: Defect): void {
    this.#retireWorker();
    this.#finish(reason);
  }

  #retireWorker(): void {
    const worker = this.#worker;
    this.#worker = null;
    void worker?.terminate();
  }

  #finish(result: MailSummary | Defect): void {
    const running = this.#running;
    this.#running = null;
    if (running !== null) {
      clearTimeout(running.timer);
      running.job.resolve(typeof result === "string" ? summarizeHeader(running.job.raw, result) : result);
    }
    this.#runNext();
  }
}
