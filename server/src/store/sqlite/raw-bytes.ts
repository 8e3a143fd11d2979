import { freeBytes } from "../../freed-bytes.ts";
import type { Connection } from "./connection.ts";

/** A mail up to this size is one row. SQLite holds two copies of a value while it stores it, and keeps one of them. */
const partBytes = 1024 * 1024;
/** Parts of two messages never meet: a mail ends below 4 GiB, and ids are whole numbers in JavaScript up to message 2^41. */
const idsPerMessage = 4096;

/**
 * Stores the raw bytes of a message inside the writer's transaction, needing little memory however many they are. Throws when
 * they are 4 GiB or more.
 */
export function insertRaw(connection: Connection, messageId: number, raw: Uint8Array): void {
  if (raw.length >= idsPerMessage * partBytes) throw new Error(`a mail of ${raw.length} bytes cannot be stored`);
  const first = raw.length <= partBytes ? raw : raw.subarray(0, partBytes);
  connection.insert("INSERT INTO raw (message_id, bytes) VALUES (?, ?)", messageId, first);
  for (let start = partBytes; start < raw.length; start += partBytes) {
    const part = raw.subarray(start, start + partBytes);
    connection.insert("INSERT INTO raw_part (id, bytes) VALUES (?, ?)", partId(messageId, start), part);
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
  const sql = "SELECT id, bytes FROM raw_part WHERE id > ? AND id < ? ORDER BY id";
  const ids = [partId(messageId, 0), partId(messageId + 1, 0)] as const;
  for (const part of connection.iterate<{ id: number; bytes: Uint8Array<ArrayBuffer> }>(sql, ...ids)) {
    if (part.id !== partId(messageId, end)) break;
    whole.set(part.bytes, end);
    end += part.bytes.length;
    freeBytes(part.bytes);
  }
  if (end !== sizeBytes) throw new Error(`message ${messageId} has ${end} of its ${sizeBytes} bytes`);
  return whole;
}

/** Deletes the raw bytes of messages inside the writer's transaction. */
export function deleteRaw(connection: Connection, messages: readonly { id: number; sizeBytes: number }[]): void {
  const ids = JSON.stringify(messages.map(({ id }) => id));
  connection.change("DELETE FROM raw WHERE message_id IN (SELECT value FROM json_each(?))", ids);
  for (const { id, sizeBytes } of messages) {
    if (sizeBytes <= partBytes) continue;
    connection.change("DELETE FROM raw_part WHERE id > ? AND id < ?", partId(id, 0), partId(id + 1, 0));
  }
}

/** Of the part that begins at a multiple of {@link partBytes}; of any other offset it is no part's. */
function partId(messageId: number, start: number): number {
  return messageId * idsPerMessage + start / partBytes;
}
