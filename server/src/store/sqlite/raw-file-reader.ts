import { closeSync, openSync, readSync } from "node:fs";
import { rawFilePath } from "./raw-file.ts";

/** Files that are held open, so that a page of a list opens each once. */
const maxOpenFiles = 16;

/** Reads raw mails from the raw files of one database, for one connection to it. */
export class RawFileReader implements Disposable {
  readonly #database: string;
  /** The one that was asked for last is last. */
  readonly #handles = new Map<number, number>();

  constructor(database: string) {
    this.#database = database;
  }

  /** So many bytes from `at` on, in memory of their own. Throws when the file is not there or shorter than that. */
  read(id: number, at: number, bytes: number): Uint8Array<ArrayBuffer> {
    const handle = this.#handleOf(id);
    const whole = new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);
    for (let done = 0; done < bytes;) {
      const read = readSync(handle, whole, done, bytes - done, at + done);
      if (read === 0)
        throw new Error(`The file ${rawFilePath(this.#database, id)} ends before a mail that lies in it.`);
      done += read;
    }
    return whole;
  }

  /** Lets go of files that are removed. */
  forget(ids: readonly number[]): void {
    for (const id of ids) this.#close(id);
  }

  [Symbol.dispose](): void {
    this.forget([...this.#handles.keys()]);
  }

  #handleOf(id: number): number {
    const known = this.#handles.get(id);
    if (known !== undefined) {
      this.#handles.delete(id);
      this.#handles.set(id, known);
      return known;
    }
    const [oldest] = this.#handles.keys();
    if (oldest !== undefined && this.#handles.size >= maxOpenFiles) this.#close(oldest);
    const handle = openSync(rawFilePath(this.#database, id), "r");
    this.#handles.set(id, handle);
    return handle;
  }

  #close(id: number): void {
    const handle = this.#handles.get(id);
    this.#handles.delete(id);
    if (handle !== undefined) closeSync(handle);
  }
}
