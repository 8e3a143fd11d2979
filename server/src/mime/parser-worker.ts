import { parentPort } from "node:worker_threads";
import { freeBytes } from "../freed-bytes.ts";
import { summarizeMail } from "./summary.ts";

// Runs in a worker thread that `MailParser` owns: one mail in, one summary out, in order.
parentPort?.on("message", (raw: Uint8Array<ArrayBuffer>) => {
  parentPort?.postMessage(summarizeMail(raw));
  freeBytes(raw);
});
