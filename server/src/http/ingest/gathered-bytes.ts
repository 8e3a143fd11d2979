/** From this size on a chunk is kept as it came; smaller ones are copied together. */
const largeChunkBytes = 4096;
const minBlockBytes = 512;
const maxBlockBytes = 65_536;

/**
 * Bytes that arrive in chunks and leave as one buffer. A sender that writes single bytes costs hardly more memory than one
 * that writes large chunks: each chunk by itself would be an object of some 500 bytes.
 */
export class GatheredBytes {
  #pieces: Buffer[] = [];
  #block: Buffer = Buffer.alloc(0);
  /** Bytes used of the block. */
  #used = 0;
  #bytes = 0;

  /** Takes the chunk, which must not be changed afterwards. */
  add(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (chunk.length >= largeChunkBytes) {
      this.#closeBlock();
      this.#pieces.push(chunk);
      return;
    }
    if (this.#used + chunk.length > this.#block.length) this.#openBlock(chunk.length);
    this.#used += chunk.copy(this.#block, this.#used);
  }

  /** Everything in order; nothing is held afterwards. */
  take(): Buffer {
    this.#closeBlock();
    const whole = Buffer.concat(this.#pieces);
    this.clear();
    return whole;
  }

  clear(): void {
    this.#pieces = [];
    this.#block = Buffer.alloc(0);
    this.#used = 0;
    this.#bytes = 0;
  }

  /** As large as what has come so far, so that nobody gets memory for what may never come. */
  #openBlock(bytes: number): void {
    this.#closeBlock();
    this.#block = Buffer.allocUnsafeSlow(Math.max(bytes, minBlockBytes, Math.min(this.#bytes, maxBlockBytes)));
  }

  /** What is left of the block stays in use. */
  #closeBlock(): void {
    if (this.#used > 0) this.#pieces.push(this.#block.subarray(0, this.#used));
    this.#block = this.#block.subarray(this.#used);
    this.#used = 0;
  }
}
