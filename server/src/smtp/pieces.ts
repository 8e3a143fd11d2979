import { freeOwnBytes, returnableBuffer } from "../freed-bytes.ts";

/** From this size on a piece is kept as it came; smaller ones are copied together. */
const largePieceBytes = 4096;
const blockBytes = 16_384;

/**
 * Bytes that arrive in pieces and leave as one buffer. A sender that writes single bytes costs no more memory than
 * one that writes large chunks: beyond the bytes themselves at most one block is held.
 */
export class Pieces {
  #pieces: Buffer[] = [];
  #block: Buffer | null = null;
  /** Bytes used of the block. */
  #used = 0;
  #bytes = 0;

  /** Takes the piece, which must not be changed afterwards. */
  add(piece: Buffer): void {
    this.#bytes += piece.length;
    const rest = this.#block === null ? piece : this.#fill(this.#block, piece);
    if (rest.length === 0) return;
    // A mail that came in one chunk is the common case: no block for it.
    if (rest.length >= largePieceBytes || this.#bytes === piece.length) {
      this.#pieces.push(rest);
      return;
    }
    this.#block = Buffer.allocUnsafeSlow(blockBytes);
    this.#used = rest.copy(this.#block);
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Everything in order, one piece as it came, more in a buffer that spans its whole ArrayBuffer; nothing is held
   * afterwards, and pieces that have their memory for themselves are gone.
   */
  take(): Buffer<ArrayBuffer> {
    const [only] = this.#pieces;
    if (only !== undefined && this.#pieces.length === 1 && this.#block === null) {
      this.clear();
      // What a socket has read is never shared memory.
      return only as Buffer<ArrayBuffer>;
    }
    const whole = Buffer.from(returnableBuffer(this.#bytes));
    const pieces = this.drain();
    let at = 0;
    for (const piece of pieces) {
      at += piece.copy(whole, at);
      // Left to the collection of garbage, some mails of 2 MB bring about one of the whole heap. The last piece may still be in use.
      if (at < whole.length) freeOwnBytes(piece);
    }
    return whole;
  }

  /** Everything in order, as it is held; nothing is held afterwards. */
  drain(): Buffer[] {
    const pieces = this.#pieces;
    if (this.#block !== null) pieces.push(this.#block.subarray(0, this.#used));
    this.clear();
    return pieces;
  }

  clear(): void {
    this.#pieces = [];
    this.#block = null;
    this.#used = 0;
    this.#bytes = 0;
  }

  /** Fills the block first, so that the order stays and no block is kept half empty. Returns what did not fit. */
  #fill(block: Buffer, piece: Buffer): Buffer {
    const copied = piece.copy(block, this.#used);
    this.#used += copied;
    if (this.#used === blockBytes) {
      this.#pieces.push(block);
      this.#block = null;
    }
    return piece.subarray(copied);
  }
}
