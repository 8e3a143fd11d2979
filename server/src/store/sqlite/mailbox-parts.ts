import type { Connection } from "./connection.ts";

// Which mails a mailbox has is kept in two parts, which came for one address of it in one: see migrations/0008_mailbox_parts.sql.

/** Rows of the new part: one or two pages, which each transaction writes. */
const maxNewRows = 1024;
/** Rows that go over together: few enough that nobody waits for them (0.3 ms), and several for each page that they change. */
const lotRows = 256;

/** The tables of a list, in the order in which the mails of one mailbox lie in them. */
export function tablesInOrder(list: "mailbox" | "address", order: "newest" | "oldest"): readonly string[] {
  if (list === "address") return ["address_mail"];
  return order === "newest" ? ["new_mailbox_mail", "mailbox_mail"] : ["mailbox_mail", "new_mailbox_mail"];
}

/** What both lists know of a mail. `mailTo` is `null` for the mailbox's own address. */
interface ListedKey {
  mailboxId: number;
  mailTo: string | null;
  id: number;
}

/** Notes a new mail, inside the writer's transaction. */
export function listMail(connection: Connection, userId: number, { mailboxId, mailTo, id }: ListedKey): void {
  const sql = "INSERT INTO new_mailbox_mail (user_id, mailbox_id, id) VALUES (?, ?, ?)";
  connection.change(sql, userId, mailboxId, id);
  if (mailTo === null) return;
  const addressSql = "INSERT INTO address_mail (user_id, mailbox_id, mail_to, id) VALUES (?, ?, ?, ?)";
  connection.change(addressSql, userId, mailboxId, mailTo, id);
}

/** Forgets mails that are deleted, inside the writer's transaction. */
export function unlistMails(connection: Connection, userId: number, mails: readonly ListedKey[]): void {
  const keys = JSON.stringify(mails.map(({ mailboxId, id }) => [mailboxId, id]));
  const removed = connection.change(removeSql("mailbox_mail"), userId, keys);
  if (removed < mails.length) connection.change(removeSql("new_mailbox_mail"), userId, keys);
  const ofAddresses = mails.filter(({ mailTo }) => mailTo !== null);
  if (ofAddresses.length === 0) return;
  connection.change(
    `DELETE FROM address_mail WHERE (user_id, mailbox_id, mail_to, id) IN
     (SELECT ?1, value ->> 0, value ->> 1, value ->> 2 FROM json_each(?2))`,
    userId,
    JSON.stringify(ofAddresses.map(({ mailboxId, mailTo, id }) => [mailboxId, mailTo, id])),
  );
}

function removeSql(table: string): string {
  return `DELETE FROM ${table} WHERE (user_id, mailbox_id, id) IN
    (SELECT ?1, value ->> 0, value ->> 1 FROM json_each(?2))`;
}

/** A place in the order of the keys: in front of all mails of a mailbox. */
type Place = readonly [userId: number, mailboxId: number];

const start: Place = [0, 0];

/** In the mailbox whose mails went over last. Forgotten with the connection, which only means to begin anew. */
const reached = new WeakMap<Connection, Place>();

/**
 * Keeps the new part small, inside the writer's transaction that stored mail. What goes over is a piece of the order of the keys that
 * begins where the last one ended, with the oldest of a mailbox that is left: so each mailbox has its turn, also one that gets no
 * more mail, and none has an older mail in the new part than in the other.
 */
export function settleNewMails(connection: Connection): void {
  const [rows = 0] = connection.column<number>("SELECT count(*) FROM new_mailbox_mail");
  const excess = rows - maxNewRows;
  if (excess <= 0) return;
  const lot = Math.max(lotRows, excess);
  const moved = settleFrom(connection, reached.get(connection) ?? start, lot);
  if (moved < excess) settleFrom(connection, start, lot - moved);
}

const endSql = `SELECT user_id, mailbox_id, id FROM new_mailbox_mail WHERE (user_id, mailbox_id) >= (?, ?)
  ORDER BY user_id, mailbox_id, id LIMIT 1 OFFSET ?`;

/** Moves as many rows as a lot has, or all up to the end; answers how many. */
function settleFrom(connection: Connection, from: Place, lot: number): number {
  const [last] = connection.values<[...Place, id: number]>(endSql, ...from, lot - 1);
  const range = last === undefined ? from : [...from, ...last];
  const { copySql, clearSql } = last === undefined ? toTheEnd : upToKey;
  connection.change(copySql, ...range);
  reached.set(connection, last === undefined ? start : [last[0], last[1]]);
  return connection.change(clearSql, ...range);
}

const toTheEnd = moving("(user_id, mailbox_id) >= (?, ?)");
const upToKey = moving("(user_id, mailbox_id) >= (?, ?) AND (user_id, mailbox_id, id) <= (?, ?, ?)");

function moving(range: string): { copySql: string; clearSql: string } {
  return {
    copySql: `INSERT INTO mailbox_mail SELECT user_id, mailbox_id, id FROM new_mailbox_mail WHERE ${range}`,
    clearSql: `DELETE FROM new_mailbox_mail WHERE ${range}`,
  };
}
