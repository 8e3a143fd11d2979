import { join } from "node:path";
import { restoreSqlite } from "../../src/store/sqlite/restore.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import type { RawFileSizes } from "../../src/store/sqlite/raw-file.ts";
import type { Store } from "../../src/store/store.ts";
import { newMail, type StoreEngine, type StorePlace } from "./store-place.ts";
import { TemporaryDirectory } from "./temporary-directory.ts";
import { until } from "./until.ts";

/** SQLite, each place a data directory that goes with it. */
export const sqliteEngine: StoreEngine = { name: "SQLite", makePlace: async () => new DataDirectory() };

/** All mail in files, each so small that some mails do not fit and many files come about. */
export const smallRawFiles: RawFileSizes = { fromBytes: 1, aloneFromBytes: 1, fileBytes: 256 * 1024 };

/** The same with raw mails in files beside the database: the first store of a place serves it, the others only read them. */
export const sqliteWithRawFiles: StoreEngine = {
  name: "SQLite with raw files",
  makePlace: async () => new DataDirectory(smallRawFiles),
};

/** A data directory of a test's own. */
export class DataDirectory implements StorePlace {
  readonly #directory = new TemporaryDirectory();
  readonly #rawFiles: RawFileSizes | null;
  #isServed = false;

  constructor(rawFiles: RawFileSizes | null = null) {
    this.#rawFiles = rawFiles;
  }

  get directory(): string {
    return this.#directory.path;
  }

  get dataDir(): string {
    return join(this.directory, "data");
  }

  async open(): Promise<Store> {
    if (this.#rawFiles === null || this.#isServed) return openSqliteStore({ dataDir: this.dataDir });
    this.#isServed = true;
    return openServed(this.dataDir, this.#rawFiles);
  }

  backupTarget(): string {
    return join(this.directory, "copy.db");
  }

  async restore(target: string): Promise<DataDirectory> {
    const place = new DataDirectory(this.#rawFiles);
    await restoreSqlite({ from: target, dataDir: place.dataDir, replace: false });
    return place;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#directory[Symbol.dispose]();
  }
}

/** Opens the store of a data directory as a server does; resolves once the next mail comes into a raw file. */
export async function openServed(dataDir: string, rawFiles: RawFileSizes): Promise<Store> {
  const store = await openSqliteStore({ dataDir, rawFiles });
  const before = await rawFilesOf(store);
  await until("a raw file is in use", async () => {
    // A mail to nobody: nothing of it is stored.
    await store.commit(
      newMail({ userId: 0, mailboxId: 0, mailTo: "" }, "", { raw: new Uint8Array(rawFiles.aloneFromBytes) }),
    );
    return (await rawFilesOf(store)) > before;
  });
  return store;
}

async function rawFilesOf(store: Store): Promise<number> {
  const { facts } = await store.check();
  return Number(facts.find(({ name }) => name === "raw files")?.value);
}
