import { closeSync, fdatasync, openSync } from "node:fs";
import { promisify } from "node:util";

const syncHandle = promisify(fdatasync);

/**
 * The file of a database, to be synced beside SQLite. To be disposed of after every connection that this process has to the
 * database: closing any handle of a file drops all POSIX locks that the process holds on it, SQLite's too.
 */
export class DatabaseFile implements Disposable {
  readonly #path: string;
  #handle: number | null = null;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Resolves when all that was written to the file is on the disk, by whatever handle it was written. Throws with the system's
   * code; SQLite's own handles are told of the same failure at their next sync.
   */
  async sync(): Promise<void> {
    this.#handle ??= openSync(this.#path, "r");
    await syncHandle(this.#handle);
  }

  [Symbol.dispose](): void {
    if (this.#handle !== null) closeSync(this.#handle);
    this.#handle = null;
  }
}
