import type { Origin } from "../../origin.ts";
import type { ListedMail, MailDetails, MailFilter, MailQuery, MailRecord, StoredMail } from "../store.ts";
import { boundLimit, type Connection } from "./connection.ts";
import { contentColumns, contentOf } from "./content-in-raw.ts";
import type { MailMemory } from "./mail-memory.ts";
import { tablesInOrder } from "./mailbox-parts.ts";
import { filterIds, inBothOrders, MergedIds } from "./merged-ids.ts";
import { wholeRaw } from "./raw-bytes.ts";
import { mailboxIsLive } from "./rows.ts";

/** Mails of deleted mailboxes that a list steps over before it goes mailbox by mailbox instead. */
const maxHiddenRows = 1000;
/** A list is read whole when more than one in so many of its mails is not in memory. */
const maxMissingShare = 4;
/** Mails that are read at a time: a mail has a million characters at most, and whoever asked may stop after the first. */
const readMails = 32;

const recordColumns = `m.id, m.mailbox_id, g.mail_from, coalesce(m.mail_to, a.address) AS mail_to, g.subject,
  ${contentColumns}, m.received_at`;

interface RecordRow {
  id: number;
  mailbox_id: number;
  mail_from: string;
  mail_to: string;
  subject: string;
  content: string;
  content_start: number | null;
  unparsed: Uint8Array | null;
  received_at: number;
}

/** Where a list is read from: always one moment of the database, in which the memory's mails were seen to be there. */
interface Reading {
  connection: Connection;
  memory: MailMemory;
}

/**
 * Store.listMails. Reads one moment, so that a mail committed meanwhile can never be skipped by the next page. Mails of
 * other lists that are in memory are not read again.
 */
export function listMails(reading: Reading, query: MailQuery): ListedMail[] {
  return reading.connection.snapshot(() => {
    const page: ListedMail[] = [];
    if (query.limit < 1) return page;
    let chars = 0;
    for (const mail of matching(reading, query)) {
      page.push(mail);
      chars += mail.subject.length + (mail.content === null ? mail.raw : mail.content).length;
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
  raw_file: number | null;
  raw_at: number;
  bytes: Uint8Array | null;
}

/** Store.readMail. Reads one moment: what has several rows is all there or gone. */
export function readMail(connection: Connection, key: MailKey): StoredMail | null {
  return connection.snapshot(() => {
    const row = connection.get<RawRow>(
      `SELECT ${recordColumns}, g.envelope_from, g.defects, m.message_id, m.size, g.raw_file, g.raw_at,
       coalesce(g.raw, r.bytes) AS bytes ${oneMail} LEFT JOIN raw r ON r.message_id = m.message_id ${isTheMail}`,
      ...keyValues(key),
    );
    if (row === undefined) return null;
    const defects = JSON.parse(row.defects) as string[];
    return { ...recordOf(row), envelopeFrom: row.envelope_from, defects, raw: rawOf(connection, row) };
  });
}

function rawOf(connection: Connection, row: RawRow): Uint8Array {
  const { message_id: messageId, size: sizeBytes, raw_file: file, raw_at: at, bytes: first } = row;
  if (file !== null) return connection.rawFiles.read(file, at, sizeBytes);
  if (first === null) throw new Error(`message ${messageId} has no bytes`);
  return wholeRaw(connection, { messageId, first, sizeBytes });
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

function matching(reading: Reading, query: MailQuery): Iterable<ListedMail> {
  const { filters } = query;
  // Only the index of results knows them: a walk along the mails would step over everything else.
  if (query.dmarc !== undefined) return mergeFilters(reading, query, filters ?? allMailboxes(reading, query));
  if (filters === null) return scanUser(reading, query);
  const [only] = filters;
  return only !== undefined && filters.length === 1
    ? scanFilter(reading, query, only)
    : mergeFilters(reading, query, filters);
}

/** All of a user's visible mails by id: from memory where the whole page is there, as for many who come back at once. */
function scanUser(reading: Reading, query: MailQuery): Iterable<ListedMail> {
  return knownPage(reading, query) ?? walkUser(reading, query);
}

/** `null` when a mail is not in memory, or its mailbox is not live. */
function knownPage(reading: Reading, query: MailQuery): MailRecord[] | null {
  const { userId, order, afterId = 0, beforeId = Number.MAX_SAFE_INTEGER, limit } = query;
  const ids = reading.connection.column<number>(userIdsSql[order], userId, afterId, beforeId, limit);
  const live = new Set<number>();
  const mails: MailRecord[] = [];
  for (const id of ids) {
    const mail = reading.memory.get(userId, id);
    if (mail === undefined) return null;
    if (!live.has(mail.mailboxId) && liveAddress(reading, query, mail.mailboxId) === undefined) return null;
    live.add(mail.mailboxId);
    mails.push(mail);
  }
  return mails;
}

const userIdsSql = { newest: userIdsOf("DESC"), oldest: userIdsOf("ASC") };

function userIdsOf(direction: string): string {
  return `SELECT id FROM mail WHERE user_id = ? AND id > ? AND id < ? ORDER BY id ${direction} ${boundLimit}`;
}

/** The same, each mail read, along the primary key. */
function* walkUser(reading: Reading, query: MailQuery): Iterable<ListedMail> {
  const direction = query.order === "newest" ? "DESC" : "ASC";
  const rows = reading.connection.iterate<RecordRow | (RecordRow & { mail_from: null })>(
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
    if (row.mail_from === null) {
      if (++hidden > maxHiddenRows) break;
      continue;
    }
    yield noted(reading, query, recordOf(row));
  }
  if (hidden <= maxHiddenRows) return;
  const rest = query.order === "newest" ? { ...query, beforeId: lastId } : { ...query, afterId: lastId };
  yield* mergeFilters(reading, rest, allMailboxes(reading, query));
}

/** Mails that match one filter, along its index: by far the most frequent list. */
function scanFilter(reading: Reading, query: MailQuery, filter: MailFilter): Iterable<ListedMail> {
  const { connection, memory } = reading;
  const { userId, afterId: after = 0, beforeId: before = Number.MAX_SAFE_INTEGER, limit } = query;
  // Looked up first: a mailbox that is not live must not be walked through.
  const address = liveAddress(reading, query, filter.mailboxId);
  if (address === undefined) return [];
  const ids = filterIds(connection, query, { filter, after, before, limit });
  const known = ids.map((id) => memory.get(userId, id));
  const kept = known.filter((mail) => mail !== undefined);
  // A page that is asked for again and again: without a generator a call takes 5 µs less, of 120.
  if (kept.length === ids.length) return kept;
  const missing = ids.length - kept.length;
  return missing * maxMissingShare > ids.length
    ? readRange(reading, query, { filter, address })
    : readMissing(reading, query, { ids, known });
}

function* readMissing(
  reading: Reading,
  query: MailQuery,
  { ids, known }: { ids: readonly number[]; known: readonly (MailRecord | undefined)[] },
): Iterable<ListedMail> {
  for (const [index, id] of ids.entries()) {
    const mail = known[index] ?? readRecord(reading, query, id);
    if (mail !== undefined) yield mail;
  }
}

/** The same, each mail read: half the cost of looking each one up. */
function* readRange(
  reading: Reading,
  query: MailQuery,
  { filter, address }: { filter: MailFilter; address: string },
): Iterable<ListedMail> {
  const { userId, order } = query;
  const { mailboxId, mailTo: only } = filter;
  const names = only === null ? [] : [only];
  let { afterId = 0, beforeId = Number.MAX_SAFE_INTEGER, limit: left } = query;
  for (const sql of rangeSql[only === null ? "mailbox" : "address"][order]) {
    for (let isMore = true; isMore && left > 0;) {
      const count = Math.min(left, readMails);
      const rows = reading.connection.values<RangeRow>(sql, userId, mailboxId, afterId, beforeId, ...names, count);
      for (const [id, mailFrom, mailTo, subject, text, contentStart, raw, receivedAtMs] of rows) {
        const content = contentOf(text, contentStart);
        const mail = { id, mailboxId, mailFrom, mailTo: mailTo ?? address, subject, content, receivedAtMs };
        if (order === "newest") beforeId = id;
        else afterId = id;
        yield noted(reading, query, raw === null ? mail : { ...mail, content: null, raw });
      }
      left -= rows.length;
      isMore = rows.length === count;
    }
  }
}

type RangeRow = [
  id: number,
  mailFrom: string,
  mailTo: string | null,
  subject: string,
  text: string,
  contentStart: number | null,
  unparsed: Uint8Array<ArrayBuffer> | null,
  receivedAt: number,
];

/** To be read in turns, like those of {@link filterIds}. */
const rangeSql = {
  mailbox: inBothOrders((order) => tablesInOrder("mailbox", order).map((table) => rangeOf(table, "", order))),
  address: inBothOrders((order) =>
    tablesInOrder("address", order).map((table) => rangeOf(table, "AND i.mail_to = ?", order)),
  ),
};

/**
 * The join is told its order, because SQLite would rather walk all of the user's mails than look each one up. That the mailbox is
 * this user's and live was asked in the same moment: joining it again would cost a third more.
 */
function rangeOf(table: string, condition: string, order: MailQuery["order"]): string {
  return `SELECT i.id, g.mail_from, m.mail_to, g.subject, ${contentColumns}, m.received_at FROM ${table} i
    CROSS JOIN mail m ON m.user_id = i.user_id AND m.id = i.id CROSS JOIN message g ON g.id = m.message_id
    WHERE i.user_id = ? AND i.mailbox_id = ? AND i.id > ? AND i.id < ? ${condition}
    ORDER BY i.id ${order === "newest" ? "DESC" : "ASC"} ${boundLimit}`;
}

/** Mails that match any of the filters, by id: one index range for each, merged as far as somebody reads on. */
function* mergeFilters(reading: Reading, query: MailQuery, filters: readonly MailFilter[]): Iterable<ListedMail> {
  const live = filters.filter((filter) => liveAddress(reading, query, filter.mailboxId) !== undefined);
  for (const id of new MergedIds(reading.connection, query, live)) {
    const mail = reading.memory.get(query.userId, id) ?? readRecord(reading, query, id);
    if (mail !== undefined) yield mail;
  }
}

function readRecord(reading: Reading, query: MailQuery, id: number): ListedMail | undefined {
  const row = reading.connection.get<RecordRow>(
    `SELECT ${recordColumns} FROM mail m CROSS JOIN alias a ON a.id = m.mailbox_id AND a.user_id = m.user_id
     CROSS JOIN message g ON g.id = m.message_id WHERE m.user_id = ? AND m.id = ? AND ${mailboxIsLive}`,
    query.userId,
    id,
    query.nowMs,
  );
  return row === undefined ? undefined : noted(reading, query, recordOf(row));
}

function noted({ memory }: Reading, { userId }: MailQuery, mail: ListedMail): ListedMail {
  if (mail.content !== null) memory.note(userId, mail);
  return mail;
}

/** Address of a mailbox that is this user's and live. */
function liveAddress({ connection }: Reading, query: MailQuery, mailboxId: number): string | undefined {
  const sql = `SELECT a.address FROM alias a WHERE a.id = ? AND a.user_id = ? AND ${mailboxIsLive}`;
  return connection.column<string>(sql, mailboxId, query.userId, query.nowMs)[0];
}

function allMailboxes({ connection }: Reading, query: MailQuery): MailFilter[] {
  const sql = "SELECT id FROM alias WHERE user_id = ? AND deleted_at IS NULL";
  return connection.all<{ id: number }>(sql, query.userId).map(({ id }) => ({ mailboxId: id, mailTo: null }));
}

function recordOf(row: RecordRow): ListedMail {
  const mail = {
    id: row.id,
    mailboxId: row.mailbox_id,
    mailFrom: row.mail_from,
    mailTo: row.mail_to,
    subject: row.subject,
    content: contentOf(row.content, row.content_start),
    receivedAtMs: row.received_at,
  };
  return row.unparsed === null ? mail : { ...mail, content: null, raw: row.unparsed };
}
