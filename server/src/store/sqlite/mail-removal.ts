import type { Connection } from "./connection.ts";
import { tablesInOrder, unlistMails } from "./mailbox-parts.ts";
import { deleteRaw } from "./raw-bytes.ts";

// Each function runs inside the writer's transaction, in steps that are small in rows and in bytes: freeing the pages of
// a big mail costs time in proportion to its size, and intake waits meanwhile.
const maxStepBytes = 32 * 1024 * 1024;
/** A removed user's row stays this long: it carries the revision by which other processes notice. */
const noticeMs = 60_000;

/** What one step may still delete. */
interface Step {
  rows: number;
  bytes: number;
}

interface DoomedMail {
  id: number;
  mailbox_id: number;
  mail_to: string | null;
  message_id: number;
  size: number;
}

const doomedColumns = "m.id, m.mailbox_id, m.mail_to, m.message_id, m.size";

/** Store.purge. */
export function purge(connection: Connection, input: { nowMs: number; limit: number }): number {
  const step: Step = { rows: input.limit, bytes: maxStepBytes };
  while (step.rows > 0 && step.bytes > 0) {
    const mailbox = connection.get<{ id: number; user_id: number }>(
      "SELECT id, user_id FROM alias WHERE deleted_at IS NOT NULL ORDER BY deleted_at LIMIT 1",
    );
    if (mailbox === undefined) break;
    purgeMailbox(connection, mailbox, step);
  }
  if (step.bytes > 0) forgetUsers(connection, input.nowMs, step);
  if (step.bytes > 0) forgetReservations(connection, input.nowMs, step);
  return input.limit - step.rows;
}

/** Store.trimMails. */
export function trimMails(
  connection: Connection,
  input: { userId: number; beforeMs: number; maxCount: number; limit: number },
): number {
  const oldest = connection.all<DoomedMail & { received_at: number }>(
    `SELECT ${doomedColumns}, m.received_at FROM mail m WHERE m.user_id = ? ORDER BY m.id LIMIT ?`,
    input.userId,
    input.limit,
  );
  const excess = countBeyond(connection, input);
  const doomed = oldest.filter((mail, index) => index < excess || mail.received_at < input.beforeMs);
  return deleteMails(connection, input.userId, { doomed, step: { rows: input.limit, bytes: maxStepBytes } });
}

/** How many of a user's oldest mails lie beyond the newest `maxCount`. */
function countBeyond(connection: Connection, input: { userId: number; maxCount: number }): number {
  if (input.maxCount <= 0) return 0;
  // Mails of deleted mailboxes are still in the count; they must not push visible ones out. The purge comes first.
  const unpurged = "SELECT 1 FROM alias WHERE user_id = ? AND deleted_at IS NOT NULL LIMIT 1";
  if (connection.get(unpurged, input.userId) !== undefined) return 0;
  const row = connection.get<{ mail_count: number }>("SELECT mail_count FROM user WHERE id = ?", input.userId);
  return Math.max(0, (row?.mail_count ?? 0) - input.maxCount);
}

/** Takes mails of a deleted mailbox away, and the mailbox itself once it is empty. */
function purgeMailbox(connection: Connection, mailbox: { id: number; user_id: number }, step: Step): void {
  const doomed = connection.all<DoomedMail>(ofMailboxSql, mailbox.user_id, mailbox.id, step.rows);
  if (doomed.length > 0) deleteMails(connection, mailbox.user_id, { doomed, step });
  else step.rows -= connection.change("DELETE FROM alias WHERE id = ?", mailbox.id);
}

const ofMailboxSql = `SELECT ${doomedColumns} FROM (${tablesInOrder("mailbox", "oldest")
  .map((table) => `SELECT id FROM ${table} WHERE user_id = ?1 AND mailbox_id = ?2`)
  .join(" UNION ALL ")}) i CROSS JOIN mail m ON m.user_id = ?1 AND m.id = i.id LIMIT ?3`;

/** Deletes these mails of one user as far as the step allows, at least one; answers how many went. */
function deleteMails(
  connection: Connection,
  userId: number,
  { doomed, step }: { doomed: readonly DoomedMail[]; step: Step },
): number {
  const { mails, bytes } = withinStep(doomed, step);
  if (mails.length > 0) {
    const ids = JSON.stringify(mails.map(({ id }) => id));
    for (const table of ["mail", "mail_sender"]) {
      connection.change(
        `DELETE FROM ${table} WHERE user_id = ? AND id IN (SELECT value FROM json_each(?))`,
        userId,
        ids,
      );
    }
    unlistMails(
      connection,
      userId,
      mails.map(({ id, mailbox_id: mailboxId, mail_to: mailTo }) => ({ id, mailboxId, mailTo })),
    );
    dropMessages(connection, mails);
    const sql = "UPDATE user SET mail_count = mail_count - ?, used_bytes = used_bytes - ? WHERE id = ?";
    connection.change(sql, mails.length, bytes, userId);
  }
  step.rows -= mails.length;
  // A step that could not take all of it is over, however many bytes were left.
  step.bytes = mails.length < doomed.length ? 0 : step.bytes - bytes;
  return mails.length;
}

function withinStep(doomed: readonly DoomedMail[], step: Step): { mails: readonly DoomedMail[]; bytes: number } {
  let bytes = 0;
  for (const [index, { size }] of doomed.entries()) {
    if (index > 0 && bytes + size > step.bytes) return { mails: doomed.slice(0, index), bytes };
    bytes += size;
  }
  return { mails: doomed, bytes };
}

/** Lets go of messages that one mail each less refers to, and deletes those that none does any more. */
function dropMessages(connection: Connection, mails: readonly DoomedMail[]): void {
  const shares = readShares(connection, mails);
  const gone = mails.filter(({ message_id: messageId }) => {
    const refs = shares.get(messageId) ?? 1;
    if (shares.has(messageId)) shares.set(messageId, refs - 1);
    return refs === 1;
  });
  for (const [messageId, refs] of shares) {
    if (refs > 0) connection.change("UPDATE message_share SET refs = ? WHERE message_id = ?", refs, messageId);
    else connection.change("DELETE FROM message_share WHERE message_id = ?", messageId);
  }
  deleteRaw(
    connection,
    gone.map(({ message_id: id, size }) => ({ id, sizeBytes: size })),
  );
  connection.change("DELETE FROM message WHERE id IN (SELECT value FROM json_each(?))", idsOf(gone));
}

/** How many mails refer to each message that has, or had, several. */
function readShares(connection: Connection, mails: readonly DoomedMail[]): Map<number, number> {
  const sql = "SELECT message_id, refs FROM message_share WHERE message_id IN (SELECT value FROM json_each(?))";
  return new Map(connection.values<[number, number]>(sql, idsOf(mails)));
}

function idsOf(mails: readonly DoomedMail[]): string {
  return JSON.stringify(mails.map(({ message_id: id }) => id));
}

/** Forgets removed users whose last mailbox is gone, once every process has had time to notice. */
function forgetUsers(connection: Connection, nowMs: number, step: Step): void {
  const empty = connection.all<{ id: number }>(
    `SELECT id FROM user WHERE removed_at <= ? AND NOT EXISTS (SELECT 1 FROM alias WHERE user_id = user.id)
     LIMIT ?`,
    nowMs - noticeMs,
    step.rows,
  );
  for (const { id } of empty) {
    connection.change("DELETE FROM api_key WHERE user_id = ?", id);
    step.rows -= connection.change("DELETE FROM user WHERE id = ?", id);
  }
}

/** Forgets reservations that are over. */
function forgetReservations(connection: Connection, nowMs: number, step: Step): void {
  step.rows -= connection.change(
    "DELETE FROM reserved_address WHERE address IN (SELECT address FROM reserved_address WHERE until <= ? LIMIT ?)",
    nowMs,
    step.rows,
  );
}
