import { join } from "node:path";
import { restoreSqlite } from "../../src/store/sqlite/restore.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import type { StoreEngine, StorePlace } from "./store-place.ts";
import { TemporaryDirectory } from "./temporary-directory.ts";

/** SQLite, each place a data directory that goes with it. */
export const sqliteEngine: StoreEngine = { name: "SQLite", makePlace: async () => new DataDirectory() };

/** A data directory of a test's own. */
export class DataDirectory implements StorePlace {
  readonly #directory = new TemporaryDirectory();

  get directory(): string {
    return this.#directory.path;
  }

  get dataDir(): string {
    return join(this.directory, "data");
  }

  open() {
    return openSqliteStore({ dataDir: this.dataDir });
  }

  backupTarget(): string {
    return join(this.directory, "copy.db");
  }

  async restore(target: string): Promise<DataDirectory> {
    const place = new DataDirectory();
    await restoreSqlite({ from: target, dataDir: place.dataDir, replace: false });
    return place;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#directory[Symbol.dispose]();
  }
}
