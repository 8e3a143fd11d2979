import type { ApiKey, Domain, Mailbox, Page, Route, RouteAddress, User } from "../store.ts";
import type { Connection } from "./connection.ts";
import {
  domainColumns,
  domainOf,
  keyColumns,
  keyOf,
  mailboxColumns,
  mailboxIsLive,
  mailboxOf,
  selectUser,
  userOf,
  type DomainRow,
  type KeyRow,
  type MailboxRow,
  type UserRow,
} from "./rows.ts";

/** Store.route. */
export function route(connection: Connection, address: RouteAddress, nowMs: number): Route {
  const byAddress = `SELECT ${mailboxColumns} FROM alias a WHERE a.address = ? AND ${mailboxIsLive}`;
  const exact = connection.get<MailboxRow>(byAddress, address.text, nowMs);
  if (exact !== undefined) return routeTo(exact, "address");
  const tagged = address.base === address.text ? undefined : connection.get<MailboxRow>(byAddress, address.base, nowMs);
  if (tagged !== undefined) return routeTo(tagged, "tag");
  const domain = connection.get<{ catch_all_id: number | null }>(
    "SELECT catch_all_id FROM domain WHERE name = ?",
    address.domain,
  );
  if (domain === undefined) return { kind: "foreign_domain" };
  if (domain.catch_all_id === null) return { kind: "unknown_mailbox" };
  const catchAll = connection.get<MailboxRow>(
    `SELECT ${mailboxColumns} FROM alias a WHERE a.id = ? AND ${mailboxIsLive}`,
    domain.catch_all_id,
    nowMs,
  );
  if (catchAll === undefined || isKeptForAnother(connection, { address, nowMs, userId: catchAll.user_id })) {
    return { kind: "unknown_mailbox" };
  }
  return routeTo(catchAll, "catch-all");
}

/** Whether an address, or the one its tag belongs to, was given up by another user and is still reserved for that user. */
function isKeptForAnother(
  connection: Connection,
  { address, nowMs, userId }: { address: RouteAddress; nowMs: number; userId: number },
): boolean {
  const row = connection.get(
    `SELECT 1 FROM reserved_address WHERE address IN (?1, ?2) AND user_id <> ?3 AND (until IS NULL OR until > ?4)
     UNION ALL SELECT 1 FROM alias WHERE address IN (?1, ?2) AND user_id <> ?3 AND deleted_at IS NULL`,
    address.text,
    address.base,
    userId,
    nowMs,
  );
  return row !== undefined;
}

function routeTo(row: MailboxRow, via: "address" | "tag" | "catch-all"): Route {
  return { kind: "mailbox", mailbox: mailboxOf(row), via };
}

/** Store.usedBytes. */
export function usedBytes(connection: Connection, userId: number): number {
  const row = connection.get<{ used_bytes: number }>("SELECT used_bytes FROM user WHERE id = ?", userId);
  return row?.used_bytes ?? 0;
}

/** Store.findKey. */
export function findKey(connection: Connection, hash: Uint8Array, nowMs: number): ApiKey | null {
  const row = connection.get<KeyRow>(
    `SELECT ${keyColumns} FROM api_key k
     WHERE k.hash = ? AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > ?)`,
    hash,
    nowMs,
  );
  return row === undefined ? null : keyOf(connection, row);
}

/** Store.listKeys. */
export function listKeys(connection: Connection, page: Page & { userId?: number }): ApiKey[] {
  const select = `SELECT ${keyColumns} FROM api_key k WHERE`;
  const rows =
    page.userId === undefined
      ? connection.all<KeyRow>(`${select} k.id > ? ORDER BY k.id LIMIT ?`, page.afterId, page.limit)
      : connection.all<KeyRow>(
          `${select} k.user_id = ? AND k.id > ? ORDER BY k.id LIMIT ?`,
          page.userId,
          page.afterId,
          page.limit,
        );
  return rows.map((row) => keyOf(connection, row));
}

/** Store.findUser. */
export function findUser(connection: Connection, address: string): User | null {
  const row = connection.get<UserRow>(`${selectUser} AND a.address = ? AND a.deleted_at IS NULL`, address);
  return row === undefined ? null : userOf(row);
}

/** Store.listUsers. */
export function listUsers(connection: Connection, page: Page): User[] {
  return connection
    .all<UserRow>(`${selectUser} AND u.id > ? ORDER BY u.id LIMIT ?`, page.afterId, page.limit)
    .map(userOf);
}

/** Store.findMailbox. */
export function findMailbox(connection: Connection, address: string, nowMs: number): Mailbox | null {
  const row = connection.get<MailboxRow>(
    `SELECT ${mailboxColumns} FROM alias a WHERE a.address = ? AND ${mailboxIsLive}`,
    address,
    nowMs,
  );
  return row === undefined ? null : mailboxOf(row);
}

/** Store.listMailboxes. */
export function listMailboxes(
  connection: Connection,
  page: Page & { userId?: number; ids?: readonly number[]; nowMs: number },
): Mailbox[] {
  const conditions = [mailboxIsLive, "a.id > ?"];
  const values: (number | string)[] = [page.nowMs, page.afterId];
  if (page.userId !== undefined) {
    conditions.push("a.user_id = ?");
    values.push(page.userId);
  }
  if (page.ids !== undefined) {
    conditions.push("a.id IN (SELECT value FROM json_each(?))");
    values.push(JSON.stringify(page.ids));
  }
  const sql = `SELECT ${mailboxColumns} FROM alias a WHERE ${conditions.join(" AND ")} ORDER BY a.id LIMIT ?`;
  return connection.all<MailboxRow>(sql, ...values, page.limit).map(mailboxOf);
}

/** Store.listDomains. */
export function listDomains(connection: Connection, page: Page): Domain[] {
  const sql = `SELECT ${domainColumns} FROM domain WHERE id > ? ORDER BY id LIMIT ?`;
  return connection.all<DomainRow>(sql, page.afterId, page.limit).map(domainOf);
}

/** Store.lastMailIds. */
export function lastMailIds(connection: Connection, userIds: readonly number[]): Map<number, number> {
  const found = new Map<number, number>();
  for (const userId of userIds) {
    const row = connection.get<{ last_mail_id: number }>(
      "SELECT last_mail_id FROM user WHERE id = ? AND removed_at IS NULL",
      userId,
    );
    if (row !== undefined) found.set(userId, row.last_mail_id);
  }
  return found;
}

/** Grows with every change of a key or mailbox, in whichever process. */
export function directoryRevision(connection: Connection): number {
  return connection.get<{ revision: number }>("SELECT revision FROM meta")?.revision ?? 0;
}

/** Store.changedUsers. */
export function changedUsers(connection: Connection, sinceRevision: number): { revision: number; userIds: number[] } {
  // The revision first: a change in between is then told of twice, and never missed.
  const revision = directoryRevision(connection);
  if (revision <= sinceRevision) return { revision, userIds: [] };
  const rows = connection.all<{ id: number }>(
    "SELECT id FROM user WHERE revision > ? ORDER BY revision",
    sinceRevision,
  );
  return { revision, userIds: rows.map(({ id }) => id) };
}
