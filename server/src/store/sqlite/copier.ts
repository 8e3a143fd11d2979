import { closeSync, linkSync, openSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { messageOf } from "../../errors.ts";
import { Connection } from "./connection.ts";
import { syncPath } from "./durable-files.ts";
import { newPageBytes } from "./schema.ts";

// Entry of a thread that copies pages, so that neither the event loop nor the writer waits for it: from the write-ahead
// log into the database, and from the database into a backup.

export type CopyTask = { kind: "checkpoint" } | { kind: "backup"; target: string } | { kind: "close" };

/** Answer to each task, in order; `null`: done. */
export type CopyAnswer = { reason: string | null };

export interface CopierStart {
  file: string;
}

function backUp(connection: Connection, target: string): void {
  const partial = `${target}.partial`;
  // VACUUM INTO takes an empty file, and so the copy is never readable by others.
  closeSync(openSync(partial, "wx", 0o600));
  try {
    connection.exec(`PRAGMA page_size = ${newPageBytes}`);
    connection.change("VACUUM INTO ?", partial);
    syncPath(partial);
    // A link, unlike a rename, never takes the place of a file that is there.
    linkSync(partial, target);
  } finally {
    rmSync(partial, { force: true });
  }
  syncPath(dirname(target));
}

function runTask(file: string, task: CopyTask): void {
  using connection = new Connection(file, { readOnly: false });
  connection.exec("PRAGMA synchronous = FULL");
  if (task.kind === "checkpoint") connection.get("PRAGMA wal_checkpoint(PASSIVE)");
  if (task.kind === "backup") backUp(connection, task.target);
}

function answerTask(port: MessagePort, file: string, task: CopyTask): void {
  if (task.kind === "close") {
    port.close();
    return;
  }
  const answer: CopyAnswer = { reason: null };
  try {
    runTask(file, task);
  } catch (error) {
    answer.reason = messageOf(error);
  }
  port.postMessage(answer);
}

if (parentPort !== null) {
  const port = parentPort;
  const { file } = workerData as CopierStart;
  port.on("message", (task: CopyTask) => answerTask(port, file, task));
}
