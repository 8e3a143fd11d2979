import { constants, copyFileSync, existsSync, renameSync, rmSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Connection, sqliteCode, sqliteCodes } from "./connection.ts";
import { makeDirectory, syncPath } from "./durable-files.ts";
import { readSchemaVersion } from "./schema.ts";
import { databaseName } from "./sqlite-store.ts";

/**
 * The right to serve a data directory, which one process has at a time; `null` while another one has it. It ends with
 * `Symbol.dispose` or with the process, however that ends, because the kernel keeps it. The directory must exist.
 */
export function acquireServeLock(dataDir: string): Disposable | null {
  // A database of its own, never written: SQLite holds the lock, and nothing else ever opens and closes the file here,
  // which would drop the lock without a word (POSIX).
  const database = new DatabaseSync(join(dataDir, "serve.lock"), { timeout: 0 });
  try {
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (sqliteCode(error) === sqliteCodes.busy) return null;
    throw error;
  }
  return { [Symbol.dispose]: () => database.close() };
}

/**
 * Puts a backup in place of the database of a data directory. Throws an `Error` with one clear line, and changes
 * nothing, when a server uses the directory, when there is a database and `replace` is not set, or when the backup is
 * damaged, not ours or from a newer program.
 */
export async function restoreSqlite(options: { from: string; dataDir: string; replace: boolean }): Promise<void> {
  const dataDir = resolve(options.dataDir);
  makeDirectory(dataDir);
  using lock = acquireServeLock(dataDir);
  if (lock === null) throw new Error(`A server is running in the data directory ${dataDir}. Stop it first.`);
  const target = join(dataDir, databaseName);
  if (!options.replace && existsSync(target)) throw new Error(`There is a database in ${dataDir} already.`);
  const copy = `${target}.restoring`;
  try {
    // Checked as a copy: the backup itself may be on a medium that cannot be written.
    rmSync(copy, { force: true });
    copyFileSync(resolve(options.from), copy, constants.COPYFILE_FICLONE);
    checkBackup(copy, options.from);
    syncPath(copy);
    // The old log goes first: SQLite would play it into the new database.
    rmSync(`${target}-wal`, { force: true });
    rmSync(`${target}-shm`, { force: true });
    syncPath(dataDir);
    renameSync(copy, target);
    syncPath(dataDir);
  } finally {
    for (const end of ["", "-wal", "-shm"]) rmSync(`${copy}${end}`, { force: true });
  }
}

function checkBackup(copy: string, from: string): void {
  if (statSync(copy).size === 0) throw new Error(`The file ${from} is not a Cat Mails database.`);
  try {
    using connection = new Connection(copy, { readOnly: true });
    readSchemaVersion(connection, from);
    const row = connection.get<{ integrity_check: string }>("PRAGMA integrity_check(1)");
    if (row?.integrity_check !== "ok") throw new Error(`The backup ${from} is damaged.`);
  } catch (error) {
    const code = sqliteCode(error);
    if (code === null) throw error;
    const text = code === sqliteCodes.notADatabase ? "is not a Cat Mails database" : "is damaged";
    throw new Error(`The file ${from} ${text}.`, { cause: error });
  }
}
