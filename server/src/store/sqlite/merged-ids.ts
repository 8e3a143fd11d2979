import type { MailFilter, MailQuery } from "../store.ts";
import { boundLimit, type Connection } from "./connection.ts";
import { tablesInOrder } from "./mailbox-parts.ts";

/**
 * The ids of the mails that match any of some filters, each once, in the query's order. Reads a few ids per filter at a
 * time from a covering index, so that many filters cost little and a deep mailbox is never read through.
 */
export class MergedIds implements Iterable<number> {
  readonly #newestFirst: boolean;
  readonly #runs: FilterRun[];

  constructor(connection: Connection, query: MailQuery, filters: readonly MailFilter[]) {
    this.#newestFirst = query.order === "newest";
    const firstChunk = Math.max(4, Math.ceil((2 * query.limit) / Math.max(1, filters.length)));
    const chunk = Math.min(query.limit, firstChunk);
    this.#runs = filters.map((filter) => new FilterRun(connection, query, { filter, chunk }));
  }

  *[Symbol.iterator](): Iterator<number> {
    for (;;) {
      let next: number | null = null;
      for (const { head } of this.#runs) {
        if (head !== null && (next === null || (this.#newestFirst ? head > next : head < next))) next = head;
      }
      if (next === null) return;
      yield next;
      for (const run of this.#runs) if (run.head === next) run.advance();
    }
  }
}

/** The ids of one filter, read in chunks. */
class FilterRun {
  /** The next id; `null` at the end. */
  head: number | null = null;
  readonly #connection: Connection;
  readonly #query: MailQuery;
  readonly #filter: MailFilter;
  #chunk: number;
  #ids: number[] = [];
  #at = 0;
  #isAtEnd = false;

  constructor(connection: Connection, query: MailQuery, options: { filter: MailFilter; chunk: number }) {
    this.#connection = connection;
    this.#query = query;
    this.#filter = options.filter;
    this.#chunk = options.chunk;
    this.#fill(query.afterId ?? 0, query.beforeId ?? Number.MAX_SAFE_INTEGER);
  }

  advance(): void {
    const last = this.head;
    this.#at++;
    if (this.#at < this.#ids.length || last === null) {
      this.head = this.#ids[this.#at] ?? null;
      return;
    }
    const { order, afterId = 0, beforeId = Number.MAX_SAFE_INTEGER, limit } = this.#query;
    this.#chunk = Math.min(limit, this.#chunk * 2);
    if (order === "newest") this.#fill(afterId, last);
    else this.#fill(last, beforeId);
  }

  #fill(after: number, before: number): void {
    this.#at = 0;
    this.#ids = this.#isAtEnd ? [] : this.#read(after, before);
    this.#isAtEnd = this.#ids.length < this.#chunk;
    this.head = this.#ids[0] ?? null;
  }

  #read(after: number, before: number): number[] {
    return filterIds(this.#connection, this.#query, { filter: this.#filter, after, before, limit: this.#chunk });
  }
}

/** The first ids of the mails that match one filter and lie between two others, in the query's order. */
export function filterIds(
  connection: Connection,
  { userId, order, dmarc }: MailQuery,
  { filter, after, before, limit }: { filter: MailFilter; after: number; before: number; limit: number },
): number[] {
  const { mailboxId, mailTo } = filter;
  const statements = idsSql[dmarc === undefined ? "mail" : "sender"][mailTo === null ? "mailbox" : "address"][order];
  const names = [mailTo, dmarc].filter((value) => value !== null && value !== undefined);
  const ids: number[] = [];
  for (const sql of statements) {
    ids.push(...connection.column<number>(sql, userId, mailboxId, ...names, after, before, limit - ids.length));
    if (ids.length >= limit) break;
  }
  return ids;
}

/** To be asked in turns: what one answers comes before what the next does. */
const idsSql = {
  mail: {
    mailbox: inBothOrders((order) => tablesInOrder("mailbox", order).map((table) => idsOf(table, "", order))),
    address: inBothOrders((order) =>
      tablesInOrder("address", order).map((table) => idsOf(table, "AND mail_to = ?", order)),
    ),
  },
  // The index is named, so that no guess of SQLite's can turn a look-up into a walk.
  sender: {
    mailbox: inBothOrders((order) => [idsOf("mail_sender INDEXED BY mail_sender_mailbox", "AND dmarc = ?", order)]),
    address: inBothOrders((order) => [
      idsOf("mail_sender INDEXED BY mail_sender_sub", "AND mail_to = ? AND dmarc = ?", order),
    ]),
  },
};

/** One for each order of a list. */
export function inBothOrders<Value>(make: (order: MailQuery["order"]) => Value): Record<MailQuery["order"], Value> {
  return { newest: make("newest"), oldest: make("oldest") };
}

function idsOf(table: string, condition: string, order: MailQuery["order"]): string {
  return `SELECT id FROM ${table} WHERE user_id = ? AND mailbox_id = ? ${condition}
    AND id > ? AND id < ? ORDER BY id ${order === "newest" ? "DESC" : "ASC"} ${boundLimit}`;
}
