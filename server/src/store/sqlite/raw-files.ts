import { constants, rmSync } from "node:fs";
import { open, rm, statfs, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { systemCodeOf } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import { syncPath } from "./durable-files.ts";
import { directFlag, pageAlignedBytes, rawFilePath, rawFilesBeside, type RawFileSizes } from "./raw-file.ts";
import type { WriterThread } from "./writer-thread.ts";

/** Written at a time: long enough to be quick, short enough that no sync of mail waits long behind it. */
const pieceBytes = 256 * 1024;
/** After each piece: a file that is made in one go holds syncs of mail up for tens of milliseconds. */
const pauseMs = 5;
/** A file is to be there when this share of the last one is used; where it falls behind that there is no pause. */
const readyShare = 0.5;
/** A disk with less room than so many files gets none: all mail stays in the database, which takes no more than it needs. */
const minFreeFiles = 8;
/** After a file could not be made. */
const retryMs = 10_000;

export interface RawFilesOptions {
  database: string;
  sizes: RawFileSizes;
  writer: Pick<WriterThread, "call" | "offerRawFile">;
  log?: Logger | undefined;
}

/** The raw files of a database that this process serves: makes each ahead of its use, and removes those that nothing lies in any more. */
export class RawFiles implements AsyncDisposable {
  readonly #options: RawFilesOptions;
  /** Begins where a page does, see {@link pageAlignedBytes}. */
  #zeros: Buffer | null = null;
  #nextId: number;
  #making: Promise<void> | null = null;
  #retryAtMs = 0;
  /** How much of the last file is used. */
  #used = 0;
  /** The file that was looked at last for what it has left; 0: the next one is the first. */
  #cursor = 0;
  /** Mails were deleted since the first file was looked at. */
  #hasDeletions = true;
  #isReclaiming = true;
  readonly #stop = new AbortController();

  private constructor(options: RawFilesOptions, nextId: number) {
    this.#options = options;
    this.#nextId = nextId;
  }

  /** Removes what a crash has left of files that no mail came into. A file of which another process is told is never made anew. */
  static async open(options: RawFilesOptions): Promise<RawFiles> {
    const { database, writer } = options;
    const { known, nextId } = await writer.call("readRawFiles", null);
    const beside = rawFilesBeside(database);
    for (const id of beside) if (!known.includes(id)) rmSync(rawFilePath(database, id), { force: true });
    return new RawFiles(
      options,
      beside.reduce((next, id) => Math.max(next, id + 1), nextId),
    );
  }

  /**
   * Has a file made and offered to the writer, the sooner the more of the last one is `used`, from 0 to 1. While one is made, or shortly
   * after that failed, nothing else is begun.
   */
  want(used: number): void {
    this.#used = used;
    if (this.#stop.signal.aborted || this.#making !== null || performance.now() < this.#retryAtMs) return;
    this.#making = this.#make().finally(() => {
      this.#making = null;
    });
  }

  /** Mails may have been deleted: {@link reclaim} has to look at all files again. */
  noteDeletions(): void {
    this.#hasDeletions = true;
    this.#isReclaiming = true;
  }

  /**
   * One step towards giving back what deleted mails take; does nothing once all files were looked at since the last deletion. Answers
   * the files that are gone: whoever has one open lets go of it.
   */
  async reclaim(nowMs: number): Promise<readonly number[]> {
    if (!this.#isReclaiming) return [];
    const { database, sizes, writer } = this.#options;
    if (this.#cursor === 0) this.#hasDeletions = false;
    const step = { nowMs, cursor: this.#cursor, fileBytes: sizes.fileBytes };
    const { cursor, gone, dropped } = await writer.call("reclaimRawFiles", step);
    this.#cursor = cursor;
    this.#isReclaiming = cursor !== 0 || dropped > 0 || this.#hasDeletions;
    // One that stays because of a crash here goes with the next start.
    for (const id of gone) rmSync(rawFilePath(database, id), { force: true });
    return gone;
  }

  /** Gives up what is being made. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#making;
  }

  async #make(): Promise<void> {
    const { database, sizes, log, writer } = this.#options;
    const { signal } = this.#stop;
    const id = this.#nextId++;
    try {
      if (!(await hasRoom(dirname(database), sizes.fileBytes))) {
        this.#retryAtMs = performance.now() + retryMs;
        return;
      }
      this.#zeros ??= pageAlignedBytes(pieceBytes);
      const path = rawFilePath(database, id);
      const isBehind = (made: number): boolean => made * readyShare <= this.#used;
      await makeRawFile(path, { fileBytes: sizes.fileBytes, zeros: this.#zeros, isBehind, signal });
      writer.offerRawFile(id);
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.#retryAtMs = performance.now() + retryMs;
      log?.warn({ err: error }, "No file could be made for raw mails: they stay in the database");
    }
  }
}

async function hasRoom(directory: string, fileBytes: number): Promise<boolean> {
  const { bavail, bsize, blocks } = await statfs(directory);
  // A file system that counts nothing is not full.
  return blocks === 0 || bavail * bsize >= minFreeFiles * fileBytes;
}

interface NewRawFile {
  fileBytes: number;
  /** One piece of it. */
  zeros: Buffer;
  /** Whether more than this share of it should have been made by now. */
  isBehind: (made: number) => boolean;
  /** Gives up once it is aborted. */
  signal: AbortSignal;
}

/**
 * Makes a file of zeros, synced like its entry in the directory: a sync of what is written over them later is of that alone, and never
 * of the file's size or place on the disk. Throws what the system says; nothing is left of it then.
 */
async function makeRawFile(path: string, { fileBytes, zeros, isBehind, signal }: NewRawFile): Promise<void> {
  try {
    await using file = await openNew(path);
    for (let at = 0; at < fileBytes; at += zeros.length) {
      await writePiece(file, zeros, at);
      if (!isBehind(at / fileBytes)) await delay(pauseMs, undefined, { signal });
      signal.throwIfAborted();
    }
    await file.sync();
    syncPath(dirname(path));
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

/** Zeros that lay in the page cache would take memory there until mail is written over them. */
async function openNew(path: string): Promise<FileHandle> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
  try {
    return await open(path, flags | directFlag, 0o600);
  } catch (error) {
    if (systemCodeOf(error) !== "EINVAL") throw error;
    await rm(path, { force: true });
    return await open(path, flags, 0o600);
  }
}

async function writePiece(file: FileHandle, zeros: Buffer, at: number): Promise<void> {
  for (let done = 0; done < zeros.length;) {
    const { bytesWritten } = await file.write(zeros, done, zeros.length - done, at + done);
    done += bytesWritten;
  }
}
