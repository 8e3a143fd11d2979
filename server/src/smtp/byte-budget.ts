/** Bytes that all connections of a server may hold together. */
export class ByteBudget {
  readonly #maxBytes: number;
  #taken = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Takes the bytes, or takes nothing and returns false when they do not fit. What was taken must be given back. */
  take(bytes: number): boolean {
    if (!this.fits(bytes)) return false;
    this.#taken += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#taken -= bytes;
  }

  /** True when so many bytes could be taken now. */
  fits(bytes: number): boolean {
    return this.#taken + bytes <= this.#maxBytes;
  }
}
