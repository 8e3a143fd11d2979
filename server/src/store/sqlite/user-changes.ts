import type { RemoveUser, User } from "../store.ts";
import { claimAddress } from "./addresses.ts";
import type { Connection } from "./connection.ts";
import { noteChange } from "./directory.ts";
import { selectUser, userOf, type UserRow } from "./rows.ts";

// Each function runs inside the writer's transaction.

/** Store.createUser. */
export function createUser(connection: Connection, input: { address: string; nowMs: number }): User {
  const domainId = claimAddress(connection, { ...input, userId: null, takeReserved: false });
  const userId = connection.insert("INSERT INTO user (created_at) VALUES (?)", input.nowMs);
  connection.insert(
    "INSERT INTO alias (user_id, domain_id, address, is_main, created_at) VALUES (?, ?, ?, 1, ?)",
    userId,
    domainId,
    input.address,
    input.nowMs,
  );
  noteChange(connection, userId);
  const row = connection.get<UserRow>(`${selectUser} AND u.id = ?`, userId);
  if (row === undefined) throw new Error("a new user has no row");
  return userOf(row);
}

/** Store.removeUser. */
export function removeUser(connection: Connection, { userId, nowMs, reserveMs }: RemoveUser): boolean {
  const found = connection.change("UPDATE user SET removed_at = ? WHERE id = ? AND removed_at IS NULL", nowMs, userId);
  if (found === 0) return false;
  connection.change("UPDATE api_key SET revoked_at = ? WHERE user_id = ? AND revoked_at IS NULL", nowMs, userId);
  connection.change(
    `INSERT INTO reserved_address (address, user_id, until)
     SELECT address, user_id, CASE is_random WHEN 1 THEN NULL ELSE ? END FROM alias
     WHERE user_id = ? AND deleted_at IS NULL
     ON CONFLICT (address) DO UPDATE SET user_id = excluded.user_id, until = excluded.until`,
    nowMs + reserveMs,
    userId,
  );
  const mine = "(SELECT id FROM alias WHERE user_id = ? AND deleted_at IS NULL)";
  connection.change(`UPDATE domain SET catch_all_id = NULL WHERE catch_all_id IN ${mine}`, userId);
  connection.change(`DELETE FROM api_key_mailbox WHERE mailbox_id IN ${mine}`, userId);
  connection.change("UPDATE alias SET deleted_at = ? WHERE user_id = ? AND deleted_at IS NULL", nowMs, userId);
  noteChange(connection, userId);
  return true;
}
