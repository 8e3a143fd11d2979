import { Refusal } from "../../errors.ts";
import type { Connection } from "./connection.ts";

/** Throws `not_found` unless the user exists and is not removed. */
export function requireUser(connection: Connection, userId: number): void {
  const row = connection.get("SELECT 1 FROM user WHERE id = ? AND removed_at IS NULL", userId);
  if (row === undefined) throw new Refusal("not_found");
}

/** Says to every process that keys or mailboxes of a user changed. */
export function noteChange(connection: Connection, userId: number): void {
  const row = connection.get<{ revision: number }>("UPDATE meta SET revision = revision + 1 RETURNING revision");
  connection.change("UPDATE user SET revision = ? WHERE id = ?", row?.revision ?? 0, userId);
}
