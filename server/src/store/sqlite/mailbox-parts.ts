import type { SQLOutputValue } from "node:sqlite";
import type { Connection } from "./connection.ts";

// Which mails a mailbox has, and which came for one address of it, is kept in two parts each: see migrations/0008_mailbox_parts.sql.

/** Rows of a new part: one or two pages, which each transaction writes. */
const maxNewRows = 1024;
/** Rows that go over together: few enough that nobody waits for them (0.3 ms), and several for each page that they change. */
const lotRows = 256;

const parts = {
  mailbox: partsOf("mailbox_mail", ["user_id", "mailbox_id", "id"]),
  address: partsOf("address_mail", ["user_id", "mailbox_id", "mail_to", "id"]),
};

/** The tables of both parts, in the order in which the mails of one mailbox lie in them. */
export function partsInOrder(of: keyof typeof parts, order: "newest" | "oldest"): readonly [string, string] {
  const { settled, fresh } = parts[of];
  return order === "newest" ? [fresh, settled] : [settled, fresh];
}

/** What both lists know of a mail. `mailTo` is `null` for the mailbox's own address. */
interface ListedKey {
  mailboxId: number;
  mailTo: string | null;
  id: number;
}

/** Notes a new mail, inside the writer's transaction. */
export function listMail(connection: Connection, userId: number, { mailboxId, mailTo, id }: ListedKey): void {
  connection.change(parts.mailbox.addSql, userId, mailboxId, id);
  if (mailTo !== null) connection.change(parts.address.addSql, userId, mailboxId, mailTo, id);
}

/** Forgets mails that are deleted, inside the writer's transaction. */
export function unlistMails(connection: Connection, userId: number, mails: readonly ListedKey[]): void {
  const ofAddresses = mails.filter(({ mailTo }) => mailTo !== null);
  unlist(connection, parts.mailbox, [userId, mails.map(({ mailboxId, id }) => [mailboxId, id])]);
  unlist(connection, parts.address, [userId, ofAddresses.map(({ mailboxId, mailTo, id }) => [mailboxId, mailTo, id])]);
}

/** Each key without its user. */
function unlist(connection: Connection, { removeSql }: Parts, [userId, keys]: [number, readonly unknown[]]): void {
  if (keys.length === 0) return;
  const removed = connection.change(removeSql.settled, userId, JSON.stringify(keys));
  if (removed < keys.length) connection.change(removeSql.fresh, userId, JSON.stringify(keys));
}

/** A place in the order of the keys: in front of all mails of a mailbox. */
type Place = readonly [userId: number, mailboxId: number];

const start: Place = [0, 0];

/**
 * Keeps the new parts small, inside the writer's transaction that stored mail. What goes over is a piece of the order of the keys that
 * begins where the last one ended, with the oldest of a mailbox that is left: so each mailbox has its turn, also one that gets no
 * more mail, and none has an older mail in the new part than in the other.
 */
export function settleNewMails(connection: Connection): void {
  for (const part of Object.values(parts)) {
    const excess = (connection.column<number>(part.countSql)[0] ?? 0) - maxNewRows;
    if (excess <= 0) continue;
    const lot = Math.max(lotRows, excess);
    const moved = settleFrom(connection, part, { from: part.reached.get(connection) ?? start, lot });
    if (moved < excess) settleFrom(connection, part, { from: start, lot: lot - moved });
  }
}

/** Moves as many rows as a lot has, or all up to the end; answers how many. */
function settleFrom(connection: Connection, part: Parts, { from, lot }: { from: Place; lot: number }): number {
  const [last] = connection.values<[...Place, ...SQLOutputValue[]]>(part.endSql, ...from, lot - 1);
  const range = last === undefined ? from : [...from, ...last];
  const { copySql, clearSql } = last === undefined ? part.toTheEnd : part.upToKey;
  connection.change(copySql, ...range);
  part.reached.set(connection, last === undefined ? start : [last[0], last[1]]);
  return connection.change(clearSql, ...range);
}

type Parts = ReturnType<typeof partsOf>;

/** `key`: the primary key of both, and all of their columns. */
function partsOf(settled: string, key: readonly string[]) {
  const fresh = `new_${settled}`;
  const columns = key.join(", ");
  const values = key.map(() => "?").join(", ");
  const named = key.slice(1).map((_, index) => `value ->> ${index}`);
  const isNamed = `(${columns}) IN (SELECT ?1, ${named.join(", ")} FROM json_each(?2))`;
  const from = "(user_id, mailbox_id) >= (?, ?)";
  const upTo = `(${columns}) <= (${values})`;
  const moving = (range: string) => ({
    copySql: `INSERT INTO ${settled} SELECT ${columns} FROM ${fresh} WHERE ${range}`,
    clearSql: `DELETE FROM ${fresh} WHERE ${range}`,
  });
  return {
    settled,
    fresh,
    /** In the mailbox whose mails went over last. Forgotten with the connection, which only means to begin anew. */
    reached: new WeakMap<Connection, Place>(),
    addSql: `INSERT INTO ${fresh} (${columns}) VALUES (${values})`,
    removeSql: { settled: `DELETE FROM ${settled} WHERE ${isNamed}`, fresh: `DELETE FROM ${fresh} WHERE ${isNamed}` },
    countSql: `SELECT count(*) FROM ${fresh}`,
    endSql: `SELECT ${columns} FROM ${fresh} WHERE ${from} ORDER BY ${columns} LIMIT 1 OFFSET ?`,
    upToKey: moving(`${from} AND ${upTo}`),
    toTheEnd: moving(from),
  };
}
