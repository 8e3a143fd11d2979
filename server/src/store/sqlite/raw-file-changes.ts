import type { Connection } from "./connection.ts";
import { insertRaw } from "./raw-bytes.ts";

// What the database knows of raw files. All of it runs inside the writer's transaction.

/** Whoever has just read where a mail lies has read the mail long before this is over. */
const lastReadsMs = 60_000;
/** Files of which nothing is left are found from the oldest on, so many in one step. */
const dropsPerStep = 8;
/** A file with less than this share of it in use gives up the rest. */
const sparseShare = 0.25;
/** Of a sparse file so many bytes go back into the database in one step. */
const moveBytes = 4 * 1024 * 1024;
const moveRows = 200;

/** Notes that mails which are about to be stored lie in this file, and that no more come into older ones. */
export function noteRawFile(connection: Connection, id: number): void {
  const isNews = connection.change(
    // Ids of messages that were deleted may be given again, so a later one may be lower.
    `INSERT INTO raw_file (id, first_message) SELECT ?, coalesce(max(id), 0) + 1 FROM message WHERE true
     ON CONFLICT (id) DO UPDATE SET first_message = excluded.first_message WHERE excluded.first_message < first_message`,
    id,
  );
  if (isNews > 0) endRawFiles(connection, id);
}

/** Notes that no more mail comes into any file before this one. */
export function endRawFiles(connection: Connection, beforeId: number): void {
  connection.change(
    `UPDATE raw_file SET last_message = (SELECT coalesce(max(id), 0) FROM message)
     WHERE last_message IS NULL AND id < ?`,
    beforeId,
  );
}

/** The ids of all files that the database knows, and the next that no file has ever had here. */
export function readRawFiles(connection: Connection): { known: number[]; nextId: number } {
  const [last = 0] = connection.column<number>("SELECT seq FROM sqlite_sequence WHERE name = 'raw_file'");
  return { known: connection.column<number>("SELECT id FROM raw_file"), nextId: last + 1 };
}

interface Reclaiming {
  nowMs: number;
  /** From the last step; 0 at first. */
  cursor: number;
  fileBytes: number;
}

/** Where the next step goes on, and the files that nobody will read any more. */
interface Reclaimed {
  /** 0: all files were looked at. */
  cursor: number;
  gone: number[];
  /** Files that will go later. */
  dropped: number;
}

/**
 * One step towards giving back what deleted mails take in files: forgets files of which nothing is left, for the caller to remove
 * once this is committed, and of one sparse file takes mails back into the database.
 */
export function reclaimRawFiles(connection: Connection, input: Reclaiming): Reclaimed {
  const { nowMs } = input;
  connection.change("DELETE FROM raw_file_hold WHERE until <= ?", nowMs);
  const gone = connection.column<number>(
    "DELETE FROM raw_file WHERE dropped_at <= ? AND NOT EXISTS (SELECT 1 FROM raw_file_hold) RETURNING id",
    nowMs - lastReadsMs,
  );
  dropOldest(connection, nowMs);
  const cursor = thinOut(connection, input);
  const [dropped = 0] = connection.column<number>("SELECT count(*) FROM raw_file WHERE dropped_at IS NOT NULL");
  return { cursor, gone, dropped };
}

interface FileRow {
  id: number;
  first_message: number;
  last_message: number;
}

const endedFiles = `SELECT id, first_message, last_message FROM raw_file
  WHERE last_message IS NOT NULL AND dropped_at IS NULL`;

function dropOldest(connection: Connection, nowMs: number): void {
  for (const file of connection.all<FileRow>(`${endedFiles} ORDER BY id LIMIT ?`, dropsPerStep)) {
    const [first] = connection.column<number>(
      "SELECT id FROM message WHERE id BETWEEN ? AND ? AND raw_file = ? ORDER BY id LIMIT 1",
      file.first_message,
      file.last_message,
      file.id,
    );
    if (first !== undefined) {
      // So that the next step need not pass over what is gone.
      connection.change(
        "UPDATE raw_file SET first_message = ? WHERE id = ? AND first_message < ?",
        first,
        file.id,
        first,
      );
      return;
    }
    connection.change(dropSql, nowMs, file.id);
  }
}

const dropSql = "UPDATE raw_file SET dropped_at = ? WHERE id = ?";

/** Looks at one file, all files in turns, and takes some of its mails away where few are left. Answers the last file that is done with. */
function thinOut(connection: Connection, { nowMs, cursor, fileBytes }: Reclaiming): number {
  const [file] = connection.all<FileRow>(`${endedFiles} AND id > ? ORDER BY id LIMIT 1`, cursor);
  if (file === undefined) return 0;
  const range = [file.first_message, file.last_message, file.id] as const;
  const inFile = "FROM message WHERE id BETWEEN ? AND ? AND raw_file = ?";
  const [live] = connection.column<number | null>(`SELECT sum(raw_size) ${inFile}`, ...range);
  if (live === null || live === undefined) connection.change(dropSql, nowMs, file.id);
  if ((live ?? fileBytes) >= sparseShare * fileBytes) return file.id;
  const rows = connection.all<PlacedRow>(
    `SELECT id, raw_at, raw_size ${inFile} ORDER BY id LIMIT ?`,
    ...range,
    moveRows,
  );
  let bytes = 0;
  for (const row of rows) {
    takeBack(connection, { file: file.id, ...row });
    bytes += row.raw_size;
    if (bytes >= moveBytes) return cursor;
  }
  return rows.length < moveRows ? file.id : cursor;
}

interface PlacedRow {
  id: number;
  raw_at: number;
  raw_size: number;
}

/** Takes a raw mail out of its file into the database. */
function takeBack(connection: Connection, row: PlacedRow & { file: number }): void {
  insertRaw(connection, row.id, connection.rawFiles.read(row.file, row.raw_at, row.raw_size));
  const sql = "UPDATE message SET raw_file = NULL, raw_at = NULL, raw_size = NULL WHERE id = ?";
  connection.change(sql, row.id);
}

/** Makes a database whole that needs no files beside it any more: a copy, whose connection reads those of its original. */
export function takeAllBack(connection: Connection): void {
  let last = 0;
  for (;;) {
    const rows = connection.all<PlacedRow & { file: number }>(
      `SELECT id, raw_file AS file, raw_at, raw_size FROM message WHERE id > ? AND raw_file IS NOT NULL
       ORDER BY id LIMIT ?`,
      last,
      moveRows,
    );
    for (const row of rows) takeBack(connection, row);
    last = rows.at(-1)?.id ?? last;
    if (rows.length < moveRows) break;
  }
  connection.exec("DELETE FROM raw_file; DELETE FROM raw_file_hold");
}

/** No file is removed until {@link releaseRawFiles}, or a day has gone by. Answers the hold's id. */
export function holdRawFiles(connection: Connection, nowMs: number): number {
  const dayMs = 86_400_000;
  return connection.insert("INSERT INTO raw_file_hold (until) VALUES (?)", nowMs + dayMs);
}

/** Ends what {@link holdRawFiles} began. */
export function releaseRawFiles(connection: Connection, hold: number): void {
  connection.change("DELETE FROM raw_file_hold WHERE id = ?", hold);
}
