import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";

/** How long any statement waits for another process that holds the write lock. */
export const busyTimeoutMs = 10_000;

/** What a read of one row answers. */
type Found<Row> = Row | undefined;

/**
 * One SQLite connection with its prepared statements, each prepared on first use and kept. The type argument of a
 * read states the columns that its SQL selects; nothing checks it at run time.
 */
export class Connection implements Disposable {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** Opens the file, which must exist when `readOnly`. Throws what SQLite says. */
  constructor(file: string, options: { readOnly: boolean }) {
    this.#database = new DatabaseSync(file, { readOnly: options.readOnly, timeout: busyTimeoutMs });
  }

  get<Row>(sql: string, ...values: SQLInputValue[]): Found<Row> {
    return this.#prepared(sql).get(...values) as Found<Row>;
  }

  all<Row>(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#prepared(sql).all(...values) as Row[];
  }

  /** Rows one by one. Two iterations of the same SQL must not overlap. */
  iterate<Row>(sql: string, ...values: SQLInputValue[]): IterableIterator<Row> {
    return this.#prepared(sql).iterate(...values) as unknown as IterableIterator<Row>;
  }

  /** Runs a change; answers how many rows it touched. */
  change(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#prepared(sql).run(...values).changes);
  }

  /** Runs an INSERT; answers the new row's id. */
  insert(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#prepared(sql).run(...values).lastInsertRowid);
  }

  /** Runs statements that are not worth keeping. */
  exec(sql: string): void {
    this.#database.exec(sql);
  }

  /** True between BEGIN and its end; SQLite ends a transaction itself on some faults. */
  get inTransaction(): boolean {
    return this.#database.isTransaction;
  }

  /** Runs reads that have to see one and the same moment. Keep it short: a long one keeps the log from being reused. */
  snapshot<Result>(read: () => Result): Result {
    this.change("BEGIN");
    try {
      return read();
    } finally {
      this.change("COMMIT");
    }
  }

  [Symbol.dispose](): void {
    this.#statements.clear();
    if (this.#database.isOpen) this.#database.close();
  }

  #prepared(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

/** SQLite's primary result code of an error; `null` when the error is not SQLite's. */
export function sqliteCode(error: unknown): number | null {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return null;
  return error.errcode & 0xff;
}

/** Primary result codes (https://sqlite.org/rescode.html) that this engine tells apart. */
export const sqliteCodes = {
  busy: 5,
  noMemory: 7,
  readOnly: 8,
  io: 10,
  corrupt: 11,
  full: 13,
  cantOpen: 14,
  notADatabase: 26,
};
