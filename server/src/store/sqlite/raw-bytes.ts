import { freeBytes } from "../../freed-bytes.ts";
import type { Connection } from "./connection.ts";

/** A mail up to this size is one row. SQLite holds two copies of a value while it stores it, and keeps one of them. */
const pieceBytes = 1024 * 1024;

/** Stores the raw bytes of a message inside the writer's transaction, needing little memory however many they are. */
export function insertRaw(connection: Connection, messageId: number, raw: Uint8Array): void {
  const first = raw.length <= pieceBytes ? raw : raw.subarray(0, pieceBytes);
  connection.insert("INSERT INTO raw (message_id, bytes) VALUES (?, ?)", messageId, first);
  for (let start = pieceBytes; start < raw.length; start += pieceBytes) {
    const piece = raw.subarray(start, start + pieceBytes);
    connection.change("INSERT INTO raw_piece (message_id, start, bytes) VALUES (?, ?, ?)", messageId, start, piece);
  }
}

/**
 * The raw bytes of a message whose row of `raw` holds `first`. To be called in the snapshot that `first` was read in.
 * Throws when the database does not hold all `sizeBytes` of them.
 */
export function wholeRaw(
  connection: Connection,
  { messageId, first, sizeBytes }: { messageId: number; first: Uint8Array; sizeBytes: number },
): Uint8Array {
  // Also a large one that was stored before there were pieces.
  if (first.length === sizeBytes) return first;
  const whole = new Uint8Array(sizeBytes);
  whole.set(first);
  let end = first.length;
  const sql = "SELECT start, bytes FROM raw_piece WHERE message_id = ? ORDER BY start";
  for (const piece of connection.iterate<{ start: number; bytes: Uint8Array<ArrayBuffer> }>(sql, messageId)) {
    if (piece.start !== end) break;
    whole.set(piece.bytes, end);
    end += piece.bytes.length;
    freeBytes(piece.bytes);
  }
  if (end !== sizeBytes) throw new Error(`message ${messageId} has ${end} of its ${sizeBytes} bytes`);
  return whole;
}

/** Deletes the raw bytes of a message inside the writer's transaction. */
export function deleteRaw(connection: Connection, messageId: number, sizeBytes: number): void {
  connection.change("DELETE FROM raw WHERE message_id = ?", messageId);
  if (sizeBytes > pieceBytes) connection.change("DELETE FROM raw_piece WHERE message_id = ?", messageId);
}
