import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { isRefusal, Refusal } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type * as contract from "../store.ts";
import { Connection } from "./connection.ts";
import { DatabaseFile } from "./database-file.ts";
import { CopierThread } from "./copier-thread.ts";
import { DirectoryCache } from "./directory-cache.ts";
import * as directory from "./directory-reads.ts";
import { makeDirectory, syncPath } from "./durable-files.ts";
import { LogKeeper } from "./log-keeper.ts";
import { MailMemory } from "./mail-memory.ts";
import { describeMail, listMails, readMail } from "./mail-reads.ts";
import type { RawFileSizes } from "./raw-file.ts";
import { RawFiles } from "./raw-files.ts";
import { readPageBytes, readSchemaVersion } from "./schema.ts";
import { listSenderRules, senderPolicy } from "./sender-reads.ts";
import { WriterThread } from "./writer-thread.ts";

export interface SqliteStoreOptions {
  /** Made when it is missing (mode 0700) and synced in its parent. */
  dataDir: string;
  log?: Logger;
  /**
   * Keeps raw mails that come together in files beside the database. Only for the one process that has the right to serve the directory,
   * see `acquireServeLock`; everybody else only reads them there.
   */
  rawFiles?: RawFileSizes;
}

/** Name of the database inside the data directory. */
export const databaseName = "catmails.db";

/**
 * Opens the store that needs nothing but a directory. Makes the database when there is none and brings an older one up to
 * date; other processes may have it open at the same time. Throws an `Error` with one clear line when the file is not
 * ours, comes from a newer program, or cannot be written durably.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<contract.Store> {
  const dataDir = resolve(options.dataDir);
  makeDirectory(dataDir);
  const file = join(dataDir, databaseName);
  await using opened = new AsyncDisposableStack();
  // Closed last: see there.
  const databaseFile = opened.use(new DatabaseFile(file));
  const keeper = opened.use(new LogKeeper({ file: databaseFile, path: file, log: options.log }));
  const entries = new DirectoryCache();
  const foreignListeners = new Set<() => void>();
  let rawFiles: RawFiles | null = null;
  const writer: WriterThread = await WriterThread.start({
    file,
    log: options.log,
    onForeignChange: () => {
      rawFiles?.noteDeletions();
      foreignListeners.forEach((listener) => listener());
    },
    onCommit: (logBytes) => keeper.note(logBytes, () => writer.finishCheckpoint()),
    onChange: () => entries.refresh(),
    rawFiles: options.rawFiles,
    onRawFileWanted: (used) => rawFiles?.want(used),
  });
  opened.use(writer);
  const { rawFiles: sizes, log } = options;
  if (sizes !== undefined) rawFiles = opened.use(await RawFiles.open({ database: file, sizes, writer, log }));
  // The files that the writer has just made are entries of the directory.
  syncPath(dataDir);
  const reader = opened.use(new Connection(file, { readOnly: true }));
  reader.exec("PRAGMA cache_size = -16384");
  const store = new SqliteStore({ file, databaseFile, reader, writer, rawFiles, keeper, entries, foreignListeners });
  opened.move();
  return store;
}

interface StoreParts {
  file: string;
  databaseFile: DatabaseFile;
  reader: Connection;
  writer: WriterThread;
  /** `null`: raw mails only come into the database. */
  rawFiles: RawFiles | null;
  keeper: LogKeeper;
  entries: DirectoryCache;
  foreignListeners: Set<() => void>;
}

/** Changes go to the writer's thread; reads are answered at once on the calling thread, each in microseconds. */
class SqliteStore implements contract.Store {
  readonly #parts: StoreParts;
  readonly #memory = new MailMemory();
  #isClosed = false;

  constructor(parts: StoreParts) {
    this.#parts = parts;
  }

  commit(mail: contract.NewMail) {
    return this.#parts.writer.commit(mail);
  }

  beginCommit() {
    this.#parts.writer.flush();
  }

  pending() {
    return this.#parts.writer.pending();
  }

  route(address: contract.RouteAddress, nowMs: number) {
    return this.#read((reader) => this.#parts.entries.route(reader, address, nowMs));
  }

  usedBytes(userId: number) {
    return this.#read((reader) => directory.usedBytes(reader, userId));
  }

  findKey(hash: Uint8Array, nowMs: number) {
    return this.#read((reader) => this.#parts.entries.findKey(reader, hash, nowMs));
  }

  listMails(query: contract.MailQuery) {
    return this.#read((reader) => listMails({ connection: reader, memory: this.#memory }, query));
  }

  async readMail(key: Parameters<contract.Store["readMail"]>[0]) {
    return this.#read((reader) => readMail(reader, key));
  }

  async describeMail(key: Parameters<contract.Store["readMail"]>[0]) {
    return this.#read((reader) => describeMail(reader, key));
  }

  recordContents(contents: readonly contract.ReadContent[]) {
    return this.#parts.writer.call("recordContents", contents);
  }

  recordSenders(results: readonly contract.SenderRecord[]) {
    return this.#parts.writer.call("recordSenders", results);
  }

  async lastMailIds(userIds: readonly number[]) {
    return this.#read((reader) => directory.lastMailIds(reader, userIds));
  }

  async changedUsers(sinceRevision: number) {
    // Whoever hears of a change looks at once what it is, maybe in a turn in which the old entries have been asked for.
    this.#parts.entries.refresh();
    return this.#read((reader) => directory.changedUsers(reader, sinceRevision));
  }

  onForeignChange(listener: () => void): Disposable {
    // A function of its own, so that one that is given twice is called twice.
    const entry = (): void => listener();
    this.#parts.foreignListeners.add(entry);
    return { [Symbol.dispose]: () => void this.#parts.foreignListeners.delete(entry) };
  }

  createUser(input: { address: string; nowMs: number }) {
    return this.#parts.writer.call("createUser", input);
  }

  async findUser(address: string) {
    return this.#read((reader) => directory.findUser(reader, address));
  }

  async listUsers(page: contract.Page) {
    return this.#read((reader) => directory.listUsers(reader, page));
  }

  removeUser(input: contract.RemoveUser) {
    return this.#parts.writer.call("removeUser", input);
  }

  createKey(input: contract.NewApiKey) {
    return this.#parts.writer.call("createKey", input);
  }

  async listKeys(page: contract.Page & { userId?: number }) {
    return this.#read((reader) => directory.listKeys(reader, page));
  }

  revokeKey(input: { publicId: string; nowMs: number }) {
    return this.#parts.writer.call("revokeKey", input);
  }

  createMailbox(input: contract.NewMailbox) {
    return this.#parts.writer.call("createMailbox", input);
  }

  async findMailbox(address: string, nowMs: number) {
    return this.#read((reader) => directory.findMailbox(reader, address, nowMs));
  }

  async listMailboxes(page: Parameters<contract.Store["listMailboxes"]>[0]) {
    return this.#read((reader) => directory.listMailboxes(reader, page));
  }

  deleteMailbox(input: contract.DeleteMailbox) {
    return this.#parts.writer.call("deleteMailbox", input);
  }

  createDomain(input: contract.NewDomain) {
    return this.#parts.writer.call("createDomain", input);
  }

  async listDomains(page: contract.Page) {
    return this.#read((reader) => directory.listDomains(reader, page));
  }

  updateDomain(input: contract.DomainChange) {
    return this.#parts.writer.call("updateDomain", input);
  }

  removeDomain(input: { name: string; nowMs: number }) {
    return this.#parts.writer.call("removeDomain", input);
  }

  addSenderRule(input: contract.NewSenderRule) {
    return this.#parts.writer.call("addSenderRule", input);
  }

  removeSenderRule(input: { action: contract.RuleAction; value: string }) {
    return this.#parts.writer.call("removeSenderRule", input);
  }

  async listSenderRules(page: contract.Page & { action?: contract.RuleAction }) {
    return this.#read((reader) => listSenderRules(reader, page));
  }

  async senderPolicy(sinceRevision: number) {
    return this.#read((reader) => senderPolicy(reader, sinceRevision));
  }

  expireMailboxes(input: { nowMs: number; reserveMs: number; limit: number }) {
    return this.#parts.writer.call("expireMailboxes", input);
  }

  purge(input: { nowMs: number; limit: number }) {
    return this.#noteGone(this.#parts.writer.call("purge", input));
  }

  trimMails(input: { userId: number; beforeMs: number; maxCount: number; limit: number }) {
    return this.#noteGone(this.#parts.writer.call("trimMails", input));
  }

  async reclaim(nowMs: number): Promise<void> {
    const { rawFiles, reader } = this.#parts;
    if (rawFiles !== null) reader.rawFiles.forget(await rawFiles.reclaim(nowMs));
  }

  async backup(target: string): Promise<void> {
    const path = resolve(target);
    if (existsSync(path)) throw new Error(`${path} exists already.`);
    // Not the log keeper's thread: a long copy must not keep the log from being looked after.
    await using copier = new CopierThread(this.#parts.file);
    await copier.run({ kind: "backup", target: path });
  }

  async reusableBytes(): Promise<number> {
    return this.#read((reader) => {
      const pages = reader.get<{ freelist_count: number }>("PRAGMA freelist_count")?.freelist_count ?? 0;
      return pages * readPageBytes(reader);
    });
  }

  async check(): Promise<contract.StoreHealth> {
    const { file } = this.#parts;
    const synchronous = await this.#parts.writer.call("readSynchronous", null);
    return this.#read((reader) => {
      const pragma = (name: string): string => String(Object.values(reader.get<object>(`PRAGMA ${name}`) ?? {})[0]);
      const size = (path: string): string => `${statSync(path, { throwIfNoEntry: false })?.size ?? 0} bytes`;
      return {
        engine: "sqlite",
        schemaVersion: readSchemaVersion(reader, file),
        facts: [
          { name: "database", value: file },
          { name: "database size", value: size(file) },
          { name: "write-ahead log size", value: size(`${file}-wal`) },
          { name: "page size", value: `${pragma("page_size")} bytes` },
          { name: "pages", value: pragma("page_count") },
          { name: "free pages", value: pragma("freelist_count") },
          { name: "raw files", value: String(reader.column("SELECT id FROM raw_file").length) },
          { name: "journal mode", value: pragma("journal_mode") },
          { name: "synchronous", value: synchronous === 2 ? "full" : String(synchronous) },
          { name: "SQLite", value: process.versions.sqlite ?? "unknown" },
        ],
      };
    });
  }

  /** Lets changes in flight finish, then copies the log back and closes everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { reader, writer, rawFiles, keeper, databaseFile } = this.#parts;
    this.#isClosed = true;
    await rawFiles?.[Symbol.asyncDispose]();
    await keeper[Symbol.asyncDispose]();
    // Before the writer, which removes the log only when it is the last to close.
    reader[Symbol.dispose]();
    await writer[Symbol.asyncDispose]();
    databaseFile[Symbol.dispose]();
  }

  async #noteGone(going: Promise<number>): Promise<number> {
    const gone = await going;
    if (gone > 0) this.#parts.rawFiles?.noteDeletions();
    return gone;
  }

  #read<Result>(read: (reader: Connection) => Result): Result {
    if (this.#isClosed) throw new Refusal("store_failed");
    try {
      return read(this.#parts.reader);
    } catch (error) {
      if (isRefusal(error)) throw error;
      throw new Refusal("store_failed", { cause: error });
    }
  }
}
