import type { MailFilter, MailQuery } from "../store.ts";
import { boundLimit, type Connection } from "./connection.ts";

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
  const sql = idsSql[dmarc === undefined ? "mail" : "mail_sender"][mailTo === null ? "mailbox" : "sub"][order];
  const names = [mailTo, dmarc].filter((value) => value !== null && value !== undefined);
  return connection.column<number>(sql, userId, mailboxId, ...names, after, before, limit);
}

const idsSql = { mail: idsOf("mail"), mail_sender: idsOf("mail_sender") };

function idsOf(table: "mail" | "mail_sender"): Record<"mailbox" | "sub", Record<MailQuery["order"], string>> {
  const result = table === "mail" ? "" : "AND dmarc = ?";
  // The index is named, so that no guess of SQLite's can turn a look-up into a walk.
  const select = (index: string, name: string, direction: string): string =>
    `SELECT id FROM ${table} INDEXED BY ${table}_${index} WHERE user_id = ? AND mailbox_id = ? ${name} ${result}
     AND id > ? AND id < ? ORDER BY id ${direction} ${boundLimit}`;
  return {
    mailbox: { newest: select("mailbox", "", "DESC"), oldest: select("mailbox", "", "ASC") },
    sub: { newest: select("sub", "AND mail_to = ?", "DESC"), oldest: select("sub", "AND mail_to = ?", "ASC") },
  };
}
