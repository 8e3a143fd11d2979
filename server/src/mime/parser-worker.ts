import { getHeapStatistics } from "node:v8";
import { parentPort } from "node:worker_threads";
import { freeBytes } from "../freed-bytes.ts";
import { summarizeMail, type MailSummary } from "./summary.ts";

/** What the worker answers to each mail. */
export interface WorkerAnswer {
  summary: MailSummary;
  /** Bytes of its heap by now, garbage included. */
  heapBytes: number;
}

// Runs in a worker thread that `MailParser` owns: one mail in, one answer out, in order.
parentPort?.on("message", (raw: Uint8Array<ArrayBuffer>) => {
  const summary = summarizeMail(raw);
  freeBytes(raw);
  const answer: WorkerAnswer = { summary, heapBytes: getHeapStatistics().total_heap_size };
  parentPort?.postMessage(answer);
});
