import { chmodSync, constants, copyFileSync, existsSync, renameSync, rmSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { Connection, sqliteCode, sqliteCodes } from "./connection.ts";
import { syncPath } from "./durable-files.ts";
import { rawFilePath, rawFilesBeside } from "./raw-file.ts";
import { readSchemaVersion } from "./schema.ts";
import { acquireServeLock } from "./serve-lock.ts";
import { databaseName } from "./sqlite-store.ts";

/**
 * Puts a backup in place of the database of a data directory. Throws an `Error` with one clear line, and changes
 * nothing, when a server or another command uses the directory, when there is a database and `replace` is not set, or
 * when the backup is damaged, not ours or from a newer program, or a database whose log still holds a part of it.
 */
export async function restoreSqlite(options: { from: string; dataDir: string; replace: boolean }): Promise<void> {
  const dataDir = resolve(options.dataDir);
  using lock = acquireServeLock(dataDir);
  if (lock === null) throw new Error(`A server is running in the data directory ${dataDir}. Stop it first.`);
  const target = join(dataDir, databaseName);
  if (!options.replace && existsSync(target)) throw new Error(`There is a database in ${dataDir} already.`);
  requireWhole(options.from);
  const copy = `${target}.restoring`;
  try {
    // Checked as a copy: the backup itself may be on a medium that cannot be written.
    rmSync(copy, { force: true });
    copyFileSync(resolve(options.from), copy, constants.COPYFILE_FICLONE);
    // The copy has the mode of the backup, which may have come from anywhere.
    chmodSync(copy, 0o600);
    checkBackup(copy, options.from);
    syncPath(copy);
    if (existsSync(target)) requireAlone(target, dataDir);
    // The old log goes first: SQLite would play it into the new database.
    rmSync(`${target}-wal`, { force: true });
    rmSync(`${target}-shm`, { force: true });
    syncPath(dataDir);
    renameSync(copy, target);
    syncPath(dataDir);
    // A backup has none; what is left of them here would go with the next start of a server.
    for (const id of rawFilesBeside(target)) rmSync(rawFilePath(target, id), { force: true });
  } finally {
    for (const end of ["", "-wal", "-shm"]) rmSync(`${copy}${end}`, { force: true });
  }
}

/** Whoever has the old database open would, when it closes it, delete the log of the new one with the mail in it. */
function requireAlone(target: string, dataDir: string): void {
  try {
    using connection = new Connection(target, { readOnly: false });
    // Only the last process that has a database open may end its log.
    connection.get("PRAGMA journal_mode = DELETE");
  } catch (error) {
    // Damage is no reason to keep a database.
    if (sqliteCode(error) !== sqliteCodes.busy) return;
    throw new Error(`Another command has the database in ${dataDir} open. Stop it first.`, { cause: error });
  }
}

/** A copy takes the file alone, and would lose without a word what a crash left in the log beside it. */
function requireWhole(from: string): void {
  // Anything else (a pipe, a directory) cannot be copied, or keeps us waiting for ever.
  if (!statSync(from).isFile()) throw new Error(`${from} is not a file.`);
  if ((statSync(`${from}-wal`, { throwIfNoEntry: false })?.size ?? 0) === 0) return;
  throw new Error(
    `The file ${from} is not a backup: its log ${from}-wal holds a part of it. Make one: catmails backup`,
  );
}

/** The schema version from which on raw mails may lie in files beside the database. */
const firstWithRawFiles = 9;

function requireNoRawFiles(connection: Connection, from: string): void {
  if (connection.get("SELECT 1 FROM raw_file LIMIT 1") === undefined) return;
  throw new Error(
    `The file ${from} is not a backup: files beside it (${from}-raw-…) hold a part of it. Make one: catmails backup`,
  );
}

function checkBackup(copy: string, from: string): void {
  if (statSync(copy).size === 0) throw new Error(`The file ${from} is not a Cat Mails database.`);
  try {
    using connection = new Connection(copy, { readOnly: true });
    if (readSchemaVersion(connection, from) >= firstWithRawFiles) requireNoRawFiles(connection, from);
    const row = connection.get<{ integrity_check: string }>("PRAGMA integrity_check(1)");
    if (row?.integrity_check !== "ok") throw new Error(`The backup ${from} is damaged.`);
  } catch (error) {
    const code = sqliteCode(error);
    if (code === null) throw error;
    const text = code === sqliteCodes.notADatabase ? "is not a Cat Mails database" : "is damaged";
    throw new Error(`The file ${from} ${text}.`, { cause: error });
  }
}
