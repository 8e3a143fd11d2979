import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { Connection, busyTimeoutMs, sqliteCode, sqliteCodes } from "./connection.ts";

/** `catM` in ASCII: says in the file's header that it is ours. */
const applicationId = 0x6361744d;
/** Page size of a new database, and of a copy: see docs/decisions/0010-raw-files.md. */
export const newPageBytes = 4_096;

interface Migration {
  version: number;
  sql: string;
}

/**
 * Opens the one database a writer works on: makes it when it is empty, brings its schema up to date, and asserts that a
 * commit will mean a sync. Safe when several processes do it at once. Throws an `Error` with one clear line when the file
 * is not ours, comes from a newer program, or cannot be written durably.
 */
export function openForWriting(file: string): Connection {
  const connection = openChecked(file);
  try {
    migrate(connection, file);
    retryWhileBusy(() => setJournalMode(connection));
    connection.exec("PRAGMA synchronous = FULL; PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = 0");
    // Longer than the log ever gets in quiet running: cutting it back each round costs a file-size change per sync.
    connection.exec("PRAGMA journal_size_limit = 268435456");
    const synchronous = readSynchronous(connection);
    if (synchronous !== 2)
      throw new Error(`The database in ${file} does not sync at commit (synchronous=${synchronous}).`);
    return connection;
  } catch (error) {
    connection[Symbol.dispose]();
    throw error;
  }
}

/** SQLite's `synchronous` of this connection; 2 (FULL) means that a commit ends with a sync. */
export function readSynchronous(connection: Connection): number {
  return connection.get<{ synchronous: number }>("PRAGMA synchronous")?.synchronous ?? -1;
}

/** Bytes of a page of this database: an older one has smaller pages. */
export function readPageBytes(connection: Connection): number {
  return connection.get<{ page_size: number }>("PRAGMA page_size")?.page_size ?? 0;
}

/** The schema version of a database file that is ours; throws an `Error` with one clear line otherwise. */
export function readSchemaVersion(connection: Connection, file: string): number {
  const id = pragma(connection, "application_id");
  const version = pragma(connection, "user_version");
  if (id !== applicationId) throw new Error(`The file ${file} is not a Cat Mails database.`);
  const known = readMigrations().length;
  if (version > known) {
    throw new Error(
      `The database in ${file} has schema version ${version}; this program knows up to ${known}. Run a newer catmails.`,
    );
  }
  return version;
}

function openChecked(file: string): Connection {
  try {
    // SQLite would make it readable for everybody. Only when it is new: see `syncPath` about closing an open database.
    closeSync(openSync(file, "wx", 0o600));
  } catch {
    // It exists already, or the next open says what is wrong.
  }
  try {
    return new Connection(file, { readOnly: false });
  } catch (error) {
    throw new Error(`The database in ${file} cannot be opened.`, { cause: error });
  }
}

function migrate(connection: Connection, file: string): void {
  const migrations = readMigrations();
  try {
    if (!isEmpty(connection) && readSchemaVersion(connection, file) === migrations.length) return;
  } catch (error) {
    if (sqliteCode(error) !== sqliteCodes.notADatabase) throw error;
    throw new Error(`The file ${file} is not a Cat Mails database.`, { cause: error });
  }
  // Takes effect only while the file has no page yet.
  connection.exec(`PRAGMA page_size = ${newPageBytes}; PRAGMA synchronous = FULL`);
  retryWhileBusy(() => connection.exec("BEGIN EXCLUSIVE"));
  try {
    // Read again under the lock: another process may have been first.
    const version = isEmpty(connection) ? 0 : readSchemaVersion(connection, file);
    for (const migration of migrations.slice(version)) connection.exec(migration.sql);
    connection.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${migrations.length}`);
    connection.exec("COMMIT");
  } catch (error) {
    if (connection.inTransaction) connection.exec("ROLLBACK");
    throw error;
  }
}

function isEmpty(connection: Connection): boolean {
  if (pragma(connection, "application_id") !== 0) return false;
  return connection.get("SELECT 1 FROM sqlite_schema LIMIT 1") === undefined;
}

function setJournalMode(connection: Connection): void {
  const row = connection.get<{ journal_mode: string }>("PRAGMA journal_mode = WAL");
  if (row?.journal_mode !== "wal") throw new Error(`The database cannot use a write-ahead log (${row?.journal_mode}).`);
}

/** SQLite answers "busy" at once, without its own waiting, where waiting could dead-lock two that change modes. */
function retryWhileBusy(attempt: () => void): void {
  const deadline = performance.now() + busyTimeoutMs;
  for (;;) {
    try {
      attempt();
      return;
    } catch (error) {
      if (sqliteCode(error) !== sqliteCodes.busy || performance.now() > deadline) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    }
  }
}

function pragma(connection: Connection, name: "application_id" | "user_version"): number {
  return connection.get<Record<string, number>>(`PRAGMA ${name}`)?.[name] ?? 0;
}

function readMigrations(): Migration[] {
  const directory = new URL("./migrations/", import.meta.url);
  const names = readdirSync(directory).filter((name) => /^\d{4}_\w+\.sql$/.test(name));
  return names.sort().map((name, index) => {
    const version = Number(name.slice(0, 4));
    if (version !== index + 1) throw new Error(`The migration ${name} is out of sequence.`);
    return { version, sql: readFileSync(new URL(name, directory), "utf8") };
  });
}
