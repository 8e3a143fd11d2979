import { closeSync, constants, fdatasyncSync, ftruncateSync, openSync, rmSync, writeSync } from "node:fs";
import { systemCodeOf } from "../../errors.ts";
import {
  blockBytes,
  directFlag,
  pageAlignedBytes,
  rawFilePath,
  stagingBytes,
  type RawFileSizes,
  type RawPlace,
} from "./raw-file.ts";

interface OpenFile {
  id: number;
  handle: number;
  /** Where the next mail goes. */
  end: number;
}

/**
 * Appends raw mails that come together to a raw file, each file once from its beginning to its end. For the writer's thread of the
 * one process that serves a data directory; files are made elsewhere and offered to it.
 */
export class RawFileWriter implements Disposable {
  readonly #database: string;
  readonly #sizes: RawFileSizes;
  #current: OpenFile | null = null;
  #spare: number | null = null;
  #need: number | null = null;
  #staging: Buffer | null = null;
  #isDirect = directFlag !== 0;

  constructor(database: string, sizes: RawFileSizes) {
    this.#database = database;
    this.#sizes = sizes;
  }

  /**
   * Not `null` once mail has come for which a file is of use, until one is offered: which share of the last file is used by now, 1 where
   * mail had to do without one.
   */
  get need(): number | null {
    return this.#need;
  }

  /** Takes a file that was made for it, of which nobody else knows, to be written next. */
  offer(id: number): void {
    this.#spare = id;
    this.#need = null;
  }

  /**
   * Writes mails and syncs them; answers where each lies. `null`: they are for the database to keep, because they are few bytes or
   * too many, no file is at hand, or this one cannot be written, which is then done with. Never throws.
   */
  place(mails: readonly Uint8Array[]): RawPlace[] | null {
    const bytes = mails.reduce((sum, { length }) => sum + length, 0);
    const { fromBytes, aloneFromBytes, fileBytes } = this.#sizes;
    if (bytes < (mails.length > 1 ? fromBytes : aloneFromBytes) || bytes > fileBytes) return null;
    try {
      const file = this.#fileFor(bytes);
      if (this.#spare === null) this.#need = file === null ? 1 : file.end / this.#sizes.fileBytes;
      return file === null ? null : this.#append(file, mails);
    } catch {
      // Whatever is wrong with the disk, the database will say it; nothing that was stored before lies past `end`.
      this.#retire();
      return null;
    }
  }

  /** Gives back what is not used of the last file, and the spare one. Never throws. */
  [Symbol.dispose](): void {
    const end = this.#current?.end;
    try {
      if (this.#current !== null) ftruncateSync(this.#current.handle, end);
      if (this.#spare !== null) rmSync(rawFilePath(this.#database, this.#spare), { force: true });
    } catch {
      // It only takes more of the disk.
    }
    this.#spare = null;
    this.#retire();
  }

  #fileFor(bytes: number): OpenFile | null {
    if (this.#current !== null && this.#current.end + bytes <= this.#sizes.fileBytes) return this.#current;
    if (this.#spare === null) return null;
    const id = this.#spare;
    this.#retire();
    this.#spare = null;
    this.#current = { id, handle: this.#open(id), end: 0 };
    return this.#current;
  }

  #open(id: number): number {
    const path = rawFilePath(this.#database, id);
    if (!this.#isDirect) return openSync(path, constants.O_RDWR);
    try {
      return openSync(path, constants.O_RDWR | directFlag);
    } catch (error) {
      if (systemCodeOf(error) !== "EINVAL") throw error;
      this.#isDirect = false;
      return openSync(path, constants.O_RDWR);
    }
  }

  #append(file: OpenFile, mails: readonly Uint8Array[]): RawPlace[] {
    const staging = (this.#staging ??= pageAlignedBytes(stagingBytes));
    const places: RawPlace[] = [];
    let at = file.end;
    // From here on in the file lies what is in `staging` up to `filled`.
    let start = file.end;
    let filled = 0;
    for (const mail of mails) {
      places.push({ file: file.id, at });
      at += mail.length;
      for (let taken = 0; taken < mail.length;) {
        const piece = mail.subarray(taken, taken + staging.length - filled);
        staging.set(piece, filled);
        taken += piece.length;
        filled += piece.length;
        if (filled < staging.length) continue;
        this.#write(file, staging, start);
        start += filled;
        filled = 0;
      }
    }
    const length = Math.ceil(filled / blockBytes) * blockBytes;
    if (filled > 0) this.#write(file, staging.subarray(0, length).fill(0, filled), start);
    fdatasyncSync(file.handle);
    file.end = start + length;
    return places;
  }

  /** A file system may take the flag and then not be able to write so. */
  #write(file: OpenFile, bytes: Uint8Array, at: number): void {
    try {
      writeWhole(file.handle, bytes, at);
    } catch (error) {
      if (!this.#isDirect || systemCodeOf(error) !== "EINVAL") throw error;
      this.#isDirect = false;
      // In this order: a handle that is closed, and stays in use where the next cannot be opened, may be somebody else's by then.
      const before = file.handle;
      file.handle = this.#open(file.id);
      closeSync(before);
      writeWhole(file.handle, bytes, at);
    }
  }

  #retire(): void {
    const handle = this.#current?.handle;
    this.#current = null;
    try {
      if (handle !== undefined) closeSync(handle);
    } catch {
      // What was written to it was synced.
    }
  }
}

function writeWhole(handle: number, bytes: Uint8Array, at: number): void {
  // A disk that is full takes a part; the next call says why.
  for (let done = 0; done < bytes.length;) done += writeSync(handle, bytes, done, bytes.length - done, at + done);
}
