import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, rm, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { freeOwnBytes, returnableBuffer } from "../freed-bytes.ts";
import { CommitTurns } from "./commit-turns.ts";

/** Bytes of spooled mails that are in memory again at once, on their way to the store; one mail may be larger. */
const maxTurnBytes = 16 * 1024 * 1024;

export interface SpoolOptions {
  /** Made when it is missing (mode 0700). Everything in it is ours: what a killed process left behind is removed. */
  dir: string;
  /** Asked before bytes are written: false refuses them. */
  hasRoom?: () => boolean;
}

/**
 * Where large mails wait while they come in, so that they cost no memory. Nothing here is durable, nor has to be: a mail
 * is promised only once the store has it.
 */
export class Spool {
  readonly turns = new CommitTurns(maxTurnBytes);
  readonly #dir: string;
  readonly #hasRoom: () => boolean;

  /** Throws what the file system says when the directory cannot be used. */
  static async open(options: SpoolOptions): Promise<Spool> {
    await mkdir(options.dir, { recursive: true, mode: 0o700 });
    for (const name of await readdir(options.dir)) {
      await rm(join(options.dir, name), { recursive: true, force: true });
    }
    return new Spool(options);
  }

  private constructor({ dir, hasRoom = () => true }: SpoolOptions) {
    this.#dir = dir;
    this.#hasRoom = hasRoom;
  }

  /** An empty file of mode 0600 that goes with its handle. Throws like node:fs, and for want of room. */
  async create(): Promise<SpoolFile> {
    const path = join(this.#dir, randomBytes(12).toString("hex"));
    const handle = await open(path, "wx+", 0o600);
    const file = new SpoolFile(handle, this.#hasRoom);
    try {
      await rm(path);
    } catch {
      // Systems that cannot unlink an open file keep the name until it is closed.
      file.pathToRemove = path;
    }
    return file;
  }
}

/** One mail on disk. One call at a time. */
export class SpoolFile {
  /** Set where the file has to be removed by name. */
  pathToRemove: string | null = null;
  readonly #handle: FileHandle;
  readonly #hasRoom: () => boolean;
  #bytes = 0;

  constructor(handle: FileHandle, hasRoom: () => boolean) {
    this.#handle = handle;
    this.#hasRoom = hasRoom;
  }

  /** Appends, and frees the pieces, which are given away. Throws like node:fs, and for want of room. */
  async write(pieces: readonly Buffer[]): Promise<void> {
    if (!this.#hasRoom()) throw new Error("too little room on the disk");
    let left = pieces;
    while (left.length > 0) {
      const { bytesWritten } = await this.#handle.writev(left, this.#bytes);
      this.#bytes += bytesWritten;
      left = after(left, bytesWritten);
    }
    // Many senders read at once: waiting for a collection of garbage would hold megabytes of what is long in the file.
    for (const piece of pieces) freeOwnBytes(piece);
  }

  /** Everything that was written, and behind it what never had to be. */
  async read(tail: readonly Buffer[]): Promise<Buffer<ArrayBuffer>> {
    const tailBytes = tail.reduce((sum, piece) => sum + piece.length, 0);
    const whole = Buffer.from(returnableBuffer(this.#bytes + tailBytes));
    let at = 0;
    while (at < this.#bytes) {
      const { bytesRead } = await this.#handle.read(whole, at, this.#bytes - at, at);
      if (bytesRead === 0) throw new Error("a spooled mail is shorter than what was written");
      at += bytesRead;
    }
    for (const piece of tail) at += piece.copy(whole, at);
    return whole;
  }

  /** Frees the space. */
  async close(): Promise<void> {
    await this.#handle.close();
    if (this.pathToRemove !== null) await rm(this.pathToRemove, { force: true });
  }
}

/** What is left of the pieces behind so many bytes. */
function after(pieces: readonly Buffer[], bytes: number): Buffer[] {
  let skip = bytes;
  return pieces.flatMap((piece) => {
    const rest = piece.subarray(Math.min(skip, piece.length));
    skip -= piece.length - rest.length;
    return rest.length === 0 ? [] : [rest];
  });
}
