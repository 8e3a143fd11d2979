import { Worker } from "node:worker_threads";
import { copyForThread } from "../freed-bytes.ts";
import type { Logger } from "../log.ts";
import { temporaryError, type Authentication, type CheckedMail } from "./authentication.ts";
import { dnsServersOf } from "./dns-servers.ts";
import type { FromWorker, OwnMail, ToWorker, WorkerStart } from "./worker-messages.ts";

export interface SenderDeskOptions {
  /** A `dns_servers` setting. */
  dnsServers: string;
  /** DNS zones that list clients nobody wants mail from. */
  zones: readonly string[];
  /** Our name, for policies that ask who is checking. */
  hostname: string;
  log: Logger;
  /** Mails that are being checked at a time. Default 64. */
  maxParallel?: number;
  /** Mails that are being checked or wait for it, and their bytes; any more are not checked. Default 1,000 and 64 MiB. */
  maxMails?: number;
  maxBytes?: number;
  /** Time from the call to the answer. Default 4.5 s. */
  timeoutMs?: number;
}

interface Job {
  id: number;
  mail: OwnMail;
  bytes: number;
  deadlineMs: number;
  resolve: (found: Authentication | null) => void;
}

/** How often it is looked for answers that are overdue: one timer for all, and none while nothing is asked. */
const sweepMs = 50;
/** So long before it is overdue, an answer has to be on its way. */
const handOverMs = 200;
/** A thread that says nothing at all for this long, while answers are overdue, is replaced. */
const maxSilenceMs = 10_000;
/** Look-ups in zones; see {@link SenderDesk.isListed}. */
const maxLookUps = 1000;
const lookUpTimeoutMs = 3500;
const heapMb = 256;
/** Nobody waits for this thread, so it may clean up more often and stay smaller. */
const youngHeapMb = 8;

/**
 * Finds out who sent a mail, beside its way: in a thread of its own with its own DNS client, started on first use. Every call is
 * answered in bounded time and none rejects; what cannot be found out in time is `temperror`. The queue is bounded in
 * mails and bytes; a mail that finds it full is not checked.
 */
export class SenderDesk implements AsyncDisposable {
  readonly #start: WorkerStart;
  readonly #log: Logger;
  readonly #limits: { maxParallel: number; maxMails: number; maxBytes: number; timeoutMs: number };
  readonly #waiting: Job[] = [];
  readonly #running = new Map<number, Job>();
  readonly #lookUps = new Map<number, { resolve: (isListed: boolean) => void; deadlineMs: number }>();
  #worker: Worker | null = null;
  #sweep: NodeJS.Timeout | null = null;
  #bytes = 0;
  #lastId = 0;
  #heardAtMs = 0;
  #isClosed = false;

  constructor(options: SenderDeskOptions) {
    this.#log = options.log;
    this.#start = { servers: dnsServersOf(options.dnsServers), hostname: options.hostname, zones: [...options.zones] };
    this.#limits = {
      maxParallel: options.maxParallel ?? 64,
      maxMails: options.maxMails ?? 1000,
      maxBytes: options.maxBytes ?? 64 * 1024 * 1024,
      timeoutMs: options.timeoutMs ?? 4500,
    };
  }

  /** Mails that are being checked or wait for it, and their bytes. */
  get pending(): { mails: number; bytes: number } {
    return { mails: this.#waiting.length + this.#running.size, bytes: this.#bytes };
  }

  /**
   * What can be found out about the sender of a mail, within `timeoutMs`; `null` when nobody looked, because too many
   * others wait, or the desk was closed. `raw` is copied before this returns.
   */
  check(mail: CheckedMail): Promise<Authentication | null> | null {
    const { maxMails, maxBytes, timeoutMs } = this.#limits;
    const bytes = mail.raw.byteLength;
    const { mails } = this.pending;
    if (this.#isClosed || mails >= maxMails || this.#bytes + bytes > maxBytes) return null;
    const { promise, resolve } = Promise.withResolvers<Authentication | null>();
    const id = ++this.#lastId;
    const deadlineMs = performance.now() + timeoutMs;
    this.#bytes += bytes;
    this.#waiting.push({ id, mail: { ...mail, raw: copyForThread(mail.raw) }, bytes, deadlineMs, resolve });
    this.#runNext();
    return promise;
  }

  /** Whether one of the zones lists a client. False when none says so within 3.5 s, or 1,000 others wait. */
  isListed(ip: string): Promise<boolean> {
    if (this.#isClosed || this.#lookUps.size >= maxLookUps) return Promise.resolve(false);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const id = ++this.#lastId;
    this.#lookUps.set(id, { resolve, deadlineMs: performance.now() + lookUpTimeoutMs });
    this.#post({ kind: "look-up", id, ip });
    return promise;
  }

  /** Ends the thread; whatever is asked for is answered with `null` or false. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    const worker = this.#worker;
    this.#worker = null;
    for (const job of [...this.#waiting.splice(0), ...this.#running.values()]) this.#settle(job, null);
    this.#forgetLookUps(Number.POSITIVE_INFINITY);
    this.#stopSweeping();
    await worker?.terminate();
  }

  #runNext(): void {
    while (this.#running.size < this.#limits.maxParallel) {
      const job = this.#waiting.shift();
      if (job === undefined) return;
      this.#running.set(job.id, job);
      const dueAtMs = performance.timeOrigin + job.deadlineMs - handOverMs;
      this.#post({ kind: "check", id: job.id, mail: job.mail, dueAtMs }, [job.mail.raw.buffer]);
    }
    this.#sweep ??= setInterval(() => this.#settleOverdue(), sweepMs).unref();
  }

  #post(message: ToWorker, transfers: ArrayBuffer[] = []): void {
    this.#sweep ??= setInterval(() => this.#settleOverdue(), sweepMs).unref();
    this.#worker ??= this.#launch();
    this.#worker.postMessage(message, transfers);
  }

  #launch(): Worker {
    this.#heardAtMs = performance.now();
    const worker = new Worker(new URL("./sender-worker.ts", import.meta.url), {
      name: "sender",
      workerData: this.#start,
      resourceLimits: { maxOldGenerationSizeMb: heapMb, maxYoungGenerationSizeMb: youngHeapMb },
    });
    worker.unref();
    worker.on("message", (message: FromWorker) => {
      if (this.#worker === worker) this.#hear(message);
    });
    worker.on("error", (error) => this.#replace(worker, error));
    worker.on("exit", () => this.#replace(worker, null));
    return worker;
  }

  #hear(message: FromWorker): void {
    this.#heardAtMs = performance.now();
    if (message.kind === "looked-up") {
      this.#lookUps.get(message.id)?.resolve(message.isListed);
      this.#lookUps.delete(message.id);
      return;
    }
    const job = this.#running.get(message.id);
    if (job !== undefined) this.#settle(job, message.found);
    this.#runNext();
  }

  #settle(job: Job, found: Authentication | null): void {
    this.#running.delete(job.id);
    this.#bytes -= job.bytes;
    job.resolve(found);
  }

  #settleOverdue(): void {
    const nowMs = performance.now();
    let isOverdue = false;
    for (const job of this.#running.values()) {
      if (job.deadlineMs > nowMs) continue;
      isOverdue = true;
      this.#settle(job, temporaryError("The check took too long"));
    }
    // In the order they came, so the first that is not late ends it.
    while (this.#waiting[0] !== undefined && this.#waiting[0].deadlineMs <= nowMs) {
      const job = this.#waiting.shift();
      if (job !== undefined) this.#settle(job, temporaryError("Too many mails were being checked"));
    }
    this.#forgetLookUps(nowMs);
    if (isOverdue && nowMs - this.#heardAtMs > maxSilenceMs && this.#worker !== null) {
      this.#replace(this.#worker, new Error("it does not answer"));
    }
    this.#runNext();
    if (this.#running.size === 0 && this.#waiting.length === 0 && this.#lookUps.size === 0) this.#stopSweeping();
  }

  #forgetLookUps(nowMs: number): void {
    for (const [id, { resolve, deadlineMs }] of this.#lookUps) {
      if (deadlineMs > nowMs) continue;
      this.#lookUps.delete(id);
      resolve(false);
    }
  }

  #stopSweeping(): void {
    if (this.#sweep !== null) clearInterval(this.#sweep);
    this.#sweep = null;
  }

  /** What the thread was asked is answered as far as it can be; the next question starts another. */
  #replace(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return;
    this.#worker = null;
    this.#log.error({ err: cause }, "The thread that checks senders stopped; the next mail starts it again");
    void worker.terminate();
    for (const job of [...this.#running.values()]) this.#settle(job, temporaryError("The check failed"));
    this.#forgetLookUps(Number.POSITIVE_INFINITY);
    this.#runNext();
  }
}
