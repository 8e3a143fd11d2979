import { Pieces } from "./pieces.ts";
import type { Spool, SpoolFile } from "./spool.ts";

/** Bytes that are collected before they are written: each write costs two changes of thread. */
const writeBytes = 64 * 1024;

/** The content of one mail in a file, with the last bytes still in memory. One call at a time, but for {@link discard}. */
export class SpooledContent {
  readonly #spool: Spool;
  readonly #pending = new Pieces();
  #file: SpoolFile | null = null;
  #isBusy = false;
  #isDiscarded = false;

  constructor(spool: Spool) {
    this.#spool = spool;
  }

  /** Makes the file with these bytes in it. Rejects when it cannot. */
  async begin(pieces: Buffer[]): Promise<void> {
    await this.#exclusively(async () => {
      this.#file = await this.#spool.create();
      await this.#file.write(pieces);
    });
  }

  /** Appends; a promise when the bytes before have to be written first, which rejects when they cannot. */
  add(piece: Buffer): Promise<void> | null {
    this.#pending.add(piece);
    if (this.#pending.bytes < writeBytes) return null;
    const pieces = this.#pending.drain();
    return this.#exclusively(async () => this.#file?.write(pieces));
  }

  /** Everything, in a buffer that spans its whole ArrayBuffer. Rejects when it cannot be read. */
  async read(): Promise<Buffer<ArrayBuffer>> {
    const file = this.#file;
    if (file === null) throw new Error("a spooled mail has no file");
    const tail = this.#pending.drain();
    return await this.#exclusively(() => file.read(tail));
  }

  /** Gives the file back, once the call that runs is over. Faults do not matter any more. */
  discard(): void {
    this.#isDiscarded = true;
    this.#pending.clear();
    if (!this.#isBusy) this.#close();
  }

  async #exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#isBusy = true;
    try {
      return await work();
    } finally {
      this.#isBusy = false;
      if (this.#isDiscarded) this.#close();
    }
  }

  #close(): void {
    const file = this.#file;
    this.#file = null;
    file?.close().catch(() => undefined);
  }
}
