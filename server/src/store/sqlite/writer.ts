import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { messageOf } from "../../errors.ts";
import { freeBytes } from "../../freed-bytes.ts";
import type { Connection } from "./connection.ts";
import { unpackJobs } from "./packed-jobs.ts";
import { endRawFiles } from "./raw-file-changes.ts";
import { RawFileWriter } from "./raw-file-writer.ts";
import { openForWriting, readPageBytes } from "./schema.ts";
import { refusedBecause, runJobs, TransactionFailure } from "./transaction.ts";
import type { FromWriter, Job, Outcome, ToWriter, WriterStart } from "./writer-messages.ts";

// Entry of the writer's thread. It is busy while it syncs; what arrives meanwhile is the next transaction.

/** A transaction takes no more than this, so that nobody waits long behind a flood. */
const maxBatchJobs = 1000;
const maxBatchBytes = 32 * 1024 * 1024;
/** How often the writer looks whether somebody else has changed the database. */
const lookIntervalMs = 200;
/** The log is copied back by the writer itself once it is this long: the side thread cannot keep up or is gone. */
const maxLogBytes = 512 * 1024 * 1024;

class Writer {
  readonly #port: MessagePort;
  readonly #file: string;
  #connection: Connection | null;
  readonly #rawFiles: RawFileWriter | null;
  #queue: Job[] = [];
  #checkpointIsDue = false;
  #isClosing = false;
  #logBytes = 0;
  #pageBytes = 0;
  #lookAgainAt = 0;
  /** Of the open connection: means nothing to another one. */
  #dataVersion: number | null = null;
  readonly #lookTimer: NodeJS.Timeout;

  constructor(port: MessagePort, { file, rawFiles }: WriterStart) {
    this.#port = port;
    this.#file = file;
    this.#connection = openForWriting(file);
    this.#rawFiles = rawFiles === null ? null : new RawFileWriter(file, rawFiles);
    if (rawFiles !== null) this.#endRawFiles(this.#connection);
    this.#lookTimer = setInterval(() => this.look(), lookIntervalMs);
  }

  /** Nobody knows any more how far the last one was written. A disk that is full keeps no server from starting: the next file ends it too. */
  #endRawFiles(connection: Connection): void {
    try {
      endRawFiles(connection, Number.MAX_SAFE_INTEGER);
    } catch {
      // The next transaction says what is wrong.
    }
  }

  take(message: ToWriter): void {
    this.#note(message);
    this.#drain();
    while (this.#queue.length > 0 || this.#checkpointIsDue) {
      if (this.#queue.length > 0) this.#runBatch(this.#nextBatch());
      if (this.#checkpointIsDue) this.#finishCheckpoint();
      else if (this.#logBytes > maxLogBytes) this.#checkpoint("PASSIVE");
      this.look();
      this.#drain();
    }
    if (this.#isClosing) this.#close();
  }

  /** Tells once whether another connection has committed since; looks at most every {@link lookIntervalMs}. */
  look(): void {
    const now = performance.now();
    if (now < this.#lookAgainAt || this.#connection === null) return;
    this.#lookAgainAt = now + lookIntervalMs;
    try {
      const version = this.#connection.get<{ data_version: number }>("PRAGMA data_version")?.data_version ?? 0;
      if (this.#dataVersion !== version) this.#tell({ kind: "foreign-change" });
      this.#dataVersion = version;
    } catch {
      // The next transaction says what is wrong.
    }
  }

  #note(message: ToWriter): void {
    if (message.kind === "jobs") for (const job of unpackJobs(message.jobs)) this.#queue.push(job);
    else if (message.kind === "finish-checkpoint") this.#checkpointIsDue = true;
    else if (message.kind === "raw-file") this.#rawFiles?.offer(message.id);
    else this.#isClosing = true;
  }

  #drain(): void {
    for (;;) {
      const next: { message: ToWriter } | undefined = receiveMessageOnPort(this.#port);
      if (next === undefined) return;
      this.#note(next.message);
    }
  }

  #nextBatch(): Job[] {
    let bytes = 0;
    let count = 0;
    for (const job of this.#queue) {
      bytes += job.kind === "mail" ? job.mail.raw.length : 0;
      if (count > 0 && (count >= maxBatchJobs || bytes > maxBatchBytes)) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  #runBatch(batch: Job[]): void {
    this.#placeMails(batch);
    const outcomes = this.#run(batch);
    for (const job of batch) if (job.kind === "mail" && job.ends !== undefined) freeBytes(job.ends);
    this.#post(outcomes);
  }

  /** Before the transaction, which then says of a mail only where it lies: what it says is on the disk. */
  #placeMails(batch: Job[]): void {
    if (this.#rawFiles === null) return;
    const jobs = batch.filter((job) => job.kind === "mail");
    const places = this.#rawFiles.place(jobs.map(({ mail }) => mail.raw));
    if (places === null) return;
    for (const [index, place] of places.entries()) {
      const job = jobs[index];
      if (job !== undefined) job.place = place;
    }
  }

  #run(batch: Job[]): Outcome[] {
    try {
      this.#connection ??= openForWriting(this.#file);
      return runJobs(this.#connection, batch);
    } catch (error) {
      if (!(error instanceof TransactionFailure) || !error.connectionIsSound) this.#dropConnection();
      return batch.map(() => refusedBecause(error));
    }
  }

  /** After a failed sync the kernel may call pages clean that never reached the disk, so nothing is kept of it. */
  #dropConnection(): void {
    try {
      this.#connection?.[Symbol.dispose]();
    } catch {
      // It failed already; the next batch opens it anew.
    }
    this.#connection = null;
    this.#dataVersion = null;
  }

  #finishCheckpoint(): void {
    this.#checkpointIsDue = false;
    this.#checkpoint("PASSIVE");
    this.#tell({ kind: "checkpoint-finished" });
  }

  #checkpoint(mode: "PASSIVE" | "TRUNCATE"): void {
    try {
      this.#connection?.get(`PRAGMA wal_checkpoint(${mode})`);
      this.#logBytes = 0;
    } catch {
      // The log still holds everything; the next round tries again.
      this.#dropConnection();
    }
  }

  #post(outcomes: Outcome[]): void {
    this.#measureLog();
    this.#tell({
      kind: "outcomes",
      outcomes,
      logBytes: this.#logBytes,
      rawFileNeed: this.#rawFiles?.need ?? null,
    });
  }

  #tell(message: FromWriter): void {
    this.#port.postMessage(message);
  }

  /** Never throws: it runs after the commit, when nothing may fail any more. */
  #measureLog(): void {
    try {
      const connection = this.#connection;
      this.#logBytes = 0;
      if (connection === null) return;
      this.#pageBytes ||= readPageBytes(connection);
      const state = connection.get<{ log: number; checkpointed: number }>("PRAGMA wal_checkpoint(NOOP)");
      if (state !== undefined && state.log !== state.checkpointed) this.#logBytes = state.log * this.#pageBytes;
    } catch {
      this.#dropConnection();
    }
  }

  #close(): void {
    this.#rawFiles?.[Symbol.dispose]();
    this.#checkpoint("TRUNCATE");
    this.#dropConnection();
    clearInterval(this.#lookTimer);
    this.#port.close();
  }
}

function start(port: MessagePort, options: WriterStart): void {
  const tell = (message: FromWriter): void => port.postMessage(message);
  try {
    const writer = new Writer(port, options);
    port.on("message", (message: ToWriter) => writer.take(message));
    tell({ kind: "ready" });
  } catch (error) {
    tell({ kind: "unusable", reason: messageOf(error) });
    port.close();
  }
}

if (parentPort !== null) start(parentPort, workerData as WriterStart);
