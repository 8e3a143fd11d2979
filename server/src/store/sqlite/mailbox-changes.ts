import { Refusal } from "../../errors.ts";
import type { DeleteMailbox, Mailbox, NewMailbox } from "../store.ts";
import { claimAddress, giveUpMailbox } from "./addresses.ts";
import type { Connection } from "./connection.ts";
import { noteChange, requireUser } from "./directory.ts";
import { addToScope } from "./key-changes.ts";
import { mailboxColumns, mailboxIsLive, mailboxOf, type MailboxRow } from "./rows.ts";

// Each function runs inside the writer's transaction.

/** Store.createMailbox. */
export function createMailbox(connection: Connection, input: NewMailbox): Mailbox {
  requireUser(connection, input.userId);
  if (input.kind === "temp" && input.maxTemp > 0) refuseBeyond(connection, input);
  const domainId = claimAddress(connection, input);
  const mailboxId = connection.insert(
    `INSERT INTO alias (user_id, domain_id, address, is_temp, is_random, expires_at, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
    input.userId,
    domainId,
    input.address,
    input.kind === "temp" ? 1 : 0,
    input.random ? 1 : 0,
    input.expiresAtMs,
    input.nowMs,
  );
  if (input.forKeyId !== null) widenScope(connection, { keyId: input.forKeyId, mailboxId, userId: input.userId });
  noteChange(connection, input.userId);
  const row = connection.get<MailboxRow>(`SELECT ${mailboxColumns} FROM alias a WHERE a.id = ?`, mailboxId);
  if (row === undefined) throw new Error("a new mailbox has no row");
  return mailboxOf(row);
}

/** Store.deleteMailbox. */
export function deleteMailbox(connection: Connection, input: DeleteMailbox): boolean {
  const row = connection.get<MailboxRow>(
    `SELECT ${mailboxColumns} FROM alias a WHERE a.address = ? AND a.user_id = ? AND ${mailboxIsLive}`,
    input.address,
    input.userId,
    input.nowMs,
  );
  if (row === undefined) return false;
  const { id, kind } = mailboxOf(row);
  if (kind === "main" || !input.kinds.includes(kind)) return false;
  if (input.mailboxIds !== null && !input.mailboxIds.includes(id)) return false;
  const { nowMs, userId } = input;
  giveUpMailbox(connection, { id, userId, nowMs, reserveUntilMs: nowMs + input.reserveMs });
  return true;
}

/** Store.expireMailboxes. */
export function expireMailboxes(
  connection: Connection,
  input: { nowMs: number; reserveMs: number; limit: number },
): number {
  const { nowMs, reserveMs, limit } = input;
  const expired = connection.all<{ id: number; user_id: number }>(
    "SELECT id, user_id FROM alias WHERE expires_at <= ? AND deleted_at IS NULL ORDER BY expires_at LIMIT ?",
    nowMs,
    limit,
  );
  for (const { id, user_id: userId } of expired) {
    giveUpMailbox(connection, { id, userId, nowMs, reserveUntilMs: nowMs + reserveMs });
  }
  return expired.length;
}

function refuseBeyond(connection: Connection, input: NewMailbox): void {
  // Counts no further than the limit, so that it costs the same however many there are.
  const row = connection.get<{ live: number }>(
    `SELECT count(*) AS live FROM (SELECT 1 FROM alias WHERE user_id = ?1 AND is_temp = 1 AND deleted_at IS NULL
     AND expires_at IS NULL UNION ALL SELECT 1 FROM alias WHERE user_id = ?1 AND is_temp = 1 AND deleted_at IS NULL
     AND expires_at > ?2 LIMIT ?3)`,
    input.userId,
    input.nowMs,
    input.maxTemp,
  );
  if (row !== undefined && row.live >= input.maxTemp) throw new Refusal("too_many_mailboxes");
}

function widenScope(connection: Connection, entry: { keyId: number; mailboxId: number; userId: number }): void {
  const key = connection.get<{ all_mailboxes: number }>(
    "SELECT all_mailboxes FROM api_key WHERE id = ? AND user_id = ?",
    entry.keyId,
    entry.userId,
  );
  if (key === undefined) throw new Refusal("not_found");
  if (key.all_mailboxes === 0) addToScope(connection, entry);
}
