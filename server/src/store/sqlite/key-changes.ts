import { Refusal } from "../../errors.ts";
import type { ApiKey, NewApiKey } from "../store.ts";
import type { Connection } from "./connection.ts";
import { noteChange, requireUser } from "./directory.ts";
import { keyColumns, keyOf, type KeyRow } from "./rows.ts";

// Each function runs inside the writer's transaction.

/** Store.createKey. */
export function createKey(connection: Connection, input: NewApiKey): ApiKey {
  requireUser(connection, input.userId);
  const taken = "SELECT 1 FROM api_key WHERE hash = ? OR public_id = ?";
  if (connection.get(taken, input.hash, input.publicId) !== undefined) throw new Refusal("key_taken");
  const keyId = connection.insert(
    `INSERT INTO api_key (user_id, public_id, hash, all_mailboxes, read_only, ingest, expires_at, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    input.userId,
    input.publicId,
    input.hash,
    input.mailboxIds === null ? 1 : 0,
    input.readOnly ? 1 : 0,
    input.ingest,
    input.expiresAtMs,
    input.nowMs,
  );
  for (const mailboxId of new Set(input.mailboxIds)) addToScope(connection, { keyId, mailboxId, userId: input.userId });
  noteChange(connection, input.userId);
  const row = connection.get<KeyRow>(`SELECT ${keyColumns} FROM api_key k WHERE k.id = ?`, keyId);
  if (row === undefined) throw new Error("a new key has no row");
  return keyOf(connection, row);
}

/** Store.revokeKey. */
export function revokeKey(connection: Connection, input: { publicId: string; nowMs: number }): boolean {
  const row = connection.get<{ user_id: number }>(
    `UPDATE api_key SET revoked_at = ?1
     WHERE public_id = ?2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?1) RETURNING user_id`,
    input.nowMs,
    input.publicId,
  );
  if (row !== undefined) noteChange(connection, row.user_id);
  return row !== undefined;
}

/** Lets a key see one more mailbox of its user. Throws `mailbox_scope_invalid` when that mailbox is not the user's. */
export function addToScope(connection: Connection, entry: { keyId: number; mailboxId: number; userId: number }): void {
  const added = connection.change(
    `INSERT INTO api_key_mailbox (key_id, mailbox_id)
     SELECT ?, id FROM alias WHERE id = ? AND user_id = ? AND deleted_at IS NULL`,
    entry.keyId,
    entry.mailboxId,
    entry.userId,
  );
  if (added === 0) throw new Refusal("mailbox_scope_invalid");
}
