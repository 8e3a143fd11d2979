import { closeSync, linkSync, openSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { messageOf } from "../../errors.ts";
import { Connection } from "./connection.ts";
import { syncPath } from "./durable-files.ts";
import { holdRawFiles, releaseRawFiles, takeAllBack } from "./raw-file-changes.ts";
import { newPageBytes } from "./schema.ts";

// Entry of a thread that copies pages, so that neither the event loop nor the writer waits for it: from the write-ahead
// log into the database, and from the database into a backup.

export type CopyTask = { kind: "checkpoint" } | { kind: "backup"; target: string } | { kind: "close" };

/** Answer to each task, in order; `null`: done. */
export type CopyAnswer = { reason: string | null };

export interface CopierStart {
  file: string;
}

function backUp(connection: Connection, file: string, target: string): void {
  const partial = `${target}.partial`;
  // VACUUM INTO takes an empty file, and so the copy is never readable by others.
  closeSync(openSync(partial, "wx", 0o600));
  // The mails that lie in files are read after the moment that the copy shows.
  const hold = holdRawFiles(connection, Date.now());
  try {
    connection.exec(`PRAGMA page_size = ${newPageBytes}`);
    connection.change("VACUUM INTO ?", partial);
    makeWhole(partial, file);
    syncPath(partial);
    // A link, unlike a rename, never takes the place of a file that is there.
    linkSync(partial, target);
  } finally {
    rmSync(partial, { force: true });
    releaseRawFiles(connection, hold);
  }
  syncPath(dirname(target));
}

/** A backup is one file: raw mails that lie beside the database go into it. */
function makeWhole(copy: string, original: string): void {
  using connection = new Connection(copy, { readOnly: false, rawFilesOf: original });
  // Nobody has any use for half of it, and it is synced as a whole.
  connection.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN");
  takeAllBack(connection);
  connection.exec("COMMIT");
}

function runTask(file: string, task: CopyTask): void {
  using connection = new Connection(file, { readOnly: false });
  connection.exec("PRAGMA synchronous = FULL");
  if (task.kind === "checkpoint") connection.get("PRAGMA wal_checkpoint(PASSIVE)");
  if (task.kind === "backup") backUp(connection, file, task.target);
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
