import type { Origin } from "../../origin.ts";
import type { MailDetails, MailFilter, MailQuery, MailRecord, StoredMail } from "../store.ts";
import type { Connection } from "./connection.ts";
import { MergedIds } from "./merged-ids.ts";
import { wholeRaw } from "./raw-bytes.ts";
import { mailboxIsLive } from "./rows.ts";

/** Mails of deleted mailboxes that a list steps over before it goes mailbox by mailbox instead. */
const maxHiddenRows = 1000;

const recordColumns = `m.id, m.mailbox_id, g.mail_from, coalesce(m.mail_to, a.address) AS mail_to, g.subject, g.content,
  m.received_at`;

interface RecordRow {
  id: number;
  mailbox_id: number;
  mail_from: string;
  mail_to: string;
  subject: string;
  content: string;
  received_at: number;
}

/** Store.listMails. Reads one moment, so that a mail committed meanwhile can never be skipped by the next page. */
export function listMails(connection: Connection, query: MailQuery): MailRecord[] {
  return connection.snapshot(() => {
    const page: MailRecord[] = [];
    if (query.limit < 1) return page;
    let chars = 0;
    for (const row of matching(connection, query)) {
      page.push(recordOf(row));
      chars += row.subject.length + row.content.length;
      if (page.length >= query.limit || chars >= query.maxChars) break;
    }
    return page;
  });
}

interface MailKey {
  userId: number;
  id: number;
  mailboxIds: readonly number[] | null;
  nowMs: number;
}

/** One mail of this user in these mailboxes: the tables, and the condition that {@link keyValues} are bound to. */
const oneMail = `FROM mail m CROSS JOIN alias a ON a.id = m.mailbox_id AND a.user_id = m.user_id
  CROSS JOIN message g ON g.id = m.message_id`;
const isTheMail = `WHERE m.user_id = ? AND m.id = ? AND ${mailboxIsLive}
  AND (?4 IS NULL OR m.mailbox_id IN (SELECT value FROM json_each(?4)))`;

function keyValues({ userId, id, mailboxIds, nowMs }: MailKey): [number, number, number, string | null] {
  return [userId, id, nowMs, mailboxIds === null ? null : JSON.stringify(mailboxIds)];
}

interface RawRow extends RecordRow {
  envelope_from: string;
  defects: string;
  message_id: number;
  size: number;
  bytes: Uint8Array;
}

/** Store.readMail. Reads one moment: what has several rows is all there or gone. */
export function readMail(connection: Connection, key: MailKey): StoredMail | null {
  return connection.snapshot(() => {
    const row = connection.get<RawRow>(
      `SELECT ${recordColumns}, g.envelope_from, g.defects, m.message_id, m.size, r.bytes ${oneMail}
       CROSS JOIN raw r ON r.message_id = m.message_id ${isTheMail}`,
      ...keyValues(key),
    );
    if (row === undefined) return null;
    const raw = wholeRaw(connection, { messageId: row.message_id, first: row.bytes, sizeBytes: row.size });
    const defects = JSON.parse(row.defects) as string[];
    return { ...recordOf(row), envelopeFrom: row.envelope_from, defects, raw };
  });
}

interface DetailsRow extends RecordRow {
  envelope_from: string;
  defects: string;
  size: number;
  client_ip: string | null;
  client_helo: string;
  transmission: Origin["transmission"];
  marked: number;
  findings: string | null;
}

/** Store.describeMail. */
export function describeMail(connection: Connection, key: MailKey): MailDetails | null {
  const row = connection.get<DetailsRow>(
    `SELECT ${recordColumns}, g.envelope_from, g.defects, m.size, g.client_ip, g.client_helo, g.transmission,
     s.marked, s.findings ${oneMail} LEFT JOIN mail_sender s ON s.user_id = m.user_id AND s.id = m.id ${isTheMail}`,
    ...keyValues(key),
  );
  if (row === undefined) return null;
  const { client_ip: ip, client_helo: helo, transmission, findings } = row;
  return {
    ...recordOf(row),
    envelopeFrom: row.envelope_from,
    defects: JSON.parse(row.defects) as string[],
    sizeBytes: row.size,
    origin: ip === null ? null : { ip, helo, transmission },
    sender: findings === null ? null : { marked: row.marked === 1, findings },
  };
}

function matching(connection: Connection, query: MailQuery): Iterable<RecordRow> {
  const { filters } = query;
  // Only the index of results knows them: a walk along the mails would step over everything else.
  if (query.dmarc !== undefined) return mergeFilters(connection, query, filters ?? allMailboxes(connection, query));
  if (filters === null) return scanUser(connection, query);
  const [only] = filters;
  return only !== undefined && filters.length === 1
    ? scanFilter(connection, query, only)
    : mergeFilters(connection, query, filters);
}

/** All of a user's visible mails by id, along the primary key. */
function* scanUser(connection: Connection, query: MailQuery): Iterable<RecordRow> {
  const direction = query.order === "newest" ? "DESC" : "ASC";
  const rows = connection.iterate<RecordRow | (RecordRow & { content: null })>(
    `SELECT ${recordColumns} FROM mail m
     LEFT JOIN alias a ON a.id = m.mailbox_id AND a.user_id = m.user_id AND ${mailboxIsLive}
     LEFT JOIN message g ON g.id = m.message_id AND a.id IS NOT NULL
     WHERE m.user_id = ? AND m.id > ? AND m.id < ? ORDER BY m.id ${direction}`,
    query.nowMs,
    query.userId,
    query.afterId ?? 0,
    query.beforeId ?? Number.MAX_SAFE_INTEGER,
  );
  let hidden = 0;
  let lastId = 0;
  for (const row of rows) {
    lastId = row.id;
    if (row.content !== null) yield row;
    else if (++hidden > maxHiddenRows) break;
  }
  if (hidden <= maxHiddenRows) return;
  const rest = query.order === "newest" ? { ...query, beforeId: lastId } : { ...query, afterId: lastId };
  yield* mergeFilters(connection, rest, allMailboxes(connection, query));
}

/** Mails that match one filter, along its index: half the cost of a merge, and by far the most frequent list. */
function* scanFilter(connection: Connection, query: MailQuery, filter: MailFilter): Iterable<RecordRow> {
  // Looked up first: a mailbox that is not live must not be walked through.
  if (!isLive(connection, query, filter.mailboxId)) return;
  const values = [query.nowMs, query.userId, filter.mailboxId];
  const range = [query.afterId ?? 0, query.beforeId ?? Number.MAX_SAFE_INTEGER];
  const end = `AND m.id > ? AND m.id < ? ORDER BY m.id ${query.order === "newest" ? "DESC" : "ASC"}`;
  // Named, because SQLite would rather walk all of the user's mails than look each one up from the index.
  const select = `SELECT ${recordColumns} FROM mail m INDEXED BY ${filter.mailTo === null ? "mail_mailbox" : "mail_sub"}
    CROSS JOIN alias a ON a.id = m.mailbox_id AND a.user_id = m.user_id AND ${mailboxIsLive}
    CROSS JOIN message g ON g.id = m.message_id WHERE m.user_id = ? AND m.mailbox_id = ?`;
  yield* filter.mailTo === null
    ? connection.iterate<RecordRow>(`${select} ${end}`, ...values, ...range)
    : connection.iterate<RecordRow>(`${select} AND m.mail_to = ? ${end}`, ...values, filter.mailTo, ...range);
}

/** Mails that match any of the filters, by id: one index range for each, merged as far as somebody reads on. */
function* mergeFilters(connection: Connection, query: MailQuery, filters: readonly MailFilter[]): Iterable<RecordRow> {
  const live = filters.filter((filter) => isLive(connection, query, filter.mailboxId));
  for (const id of new MergedIds(connection, query, live)) {
    const row = connection.get<RecordRow>(
      `SELECT ${recordColumns} FROM mail m CROSS JOIN alias a ON a.id = m.mailbox_id AND a.user_id = m.user_id
       CROSS JOIN message g ON g.id = m.message_id WHERE m.user_id = ? AND m.id = ? AND ${mailboxIsLive}`,
      query.userId,
      id,
      query.nowMs,
    );
    if (row !== undefined) yield row;
  }
}

function isLive(connection: Connection, query: MailQuery, mailboxId: number): boolean {
  const sql = `SELECT 1 FROM alias a WHERE a.id = ? AND a.user_id = ? AND ${mailboxIsLive}`;
  return connection.get(sql, mailboxId, query.userId, query.nowMs) !== undefined;
}

function allMailboxes(connection: Connection, query: MailQuery): MailFilter[] {
  const sql = "SELECT id FROM alias WHERE user_id = ? AND deleted_at IS NULL";
  return connection.all<{ id: number }>(sql, query.userId).map(({ id }) => ({ mailboxId: id, mailTo: null }));
}

function recordOf(row: RecordRow): MailRecord {
  return {
    id: row.id,
    mailboxId: row.mailbox_id,
    mailFrom: row.mail_from,
    mailTo: row.mail_to,
    subject: row.subject,
    content: row.content,
    receivedAtMs: row.received_at,
  };
}
