import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { sqliteCode, sqliteCodes } from "./connection.ts";
import { makeDirectory } from "./durable-files.ts";

/**
 * The right to serve a data directory, which one process has at a time; `null` while another one has it. It ends with
 * `Symbol.dispose` or with the process, however that ends, because the kernel keeps it. A directory that is missing is made.
 * Throws an `Error` with one clear line when the directory cannot be made or the lock cannot be opened or used.
 */
export function acquireServeLock(dataDir: string): Disposable | null {
  makeDirectory(dataDir);
  // A database of its own, never written: SQLite holds the lock, and nothing else ever opens and closes the file here,
  // which would drop the lock without a word (POSIX).
  const file = join(dataDir, "serve.lock");
  const database = openLock(file);
  try {
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (sqliteCode(error) === sqliteCodes.busy) return null;
    throw new Error(`The lock ${file} cannot be used.`, { cause: error });
  }
  return { [Symbol.dispose]: () => database.close() };
}

function openLock(file: string): DatabaseSync {
  try {
    return new DatabaseSync(file, { timeout: 0 });
  } catch (error) {
    throw new Error(`The lock ${file} cannot be opened.`, { cause: error });
  }
}
