/** Below this share of the budget nobody has to be thrifty. */
const plentyShare = 1 / 16;

/** Waits for room; `true`: the bytes were taken for it. */
interface Waiting {
  bytes: number;
  resolve: (hasRoom: boolean) => void;
}

/**
 * Bytes that all connections of a server may hold together. What is held is either still being sent, which only its
 * sender can end, or handed over, which the house gives back by itself.
 *
 * Waiting is offered only while at least half of the budget is handed over. So nobody ever waits for a sender, and two
 * senders never wait for each other.
 */
export class ByteBudget {
  readonly #maxBytes: number;
  readonly #waiting: Waiting[] = [];
  #taken = 0;
  #handedOver = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Takes the bytes, or takes nothing and returns false when they do not fit. What was taken must be given back. */
  take(bytes: number): boolean {
    // Whoever waits is served first.
    if (this.#waiting.length > 0 || !this.fits(bytes)) return false;
    this.#taken += bytes;
    return true;
  }

  /**
   * Waits for the bytes, first come, first served. `true`: they were taken. `false`, maybe at once: too much is held by
   * senders, so that waiting has no known end.
   */
  wait(bytes: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#waiting.push({ bytes, resolve });
    this.#serve();
    return promise;
  }

  /** Marks taken bytes as the house's own from now on: they come back without the help of any sender. */
  handOver(bytes: number): void {
    this.#handedOver += bytes;
  }

  /** `handedOver`: how many of the bytes were marked by {@link handOver}. */
  give(bytes: number, handedOver = 0): void {
    this.#taken -= bytes;
    this.#handedOver -= handedOver;
    if (this.#waiting.length > 0) this.#serve();
  }

  /** True when so many bytes are free. */
  fits(bytes: number): boolean {
    return this.#taken + bytes <= this.#maxBytes;
  }

  /** True when so many bytes are free, and most of the budget with them: whoever could do with less may take them all the same. */
  hasPlenty(bytes: number): boolean {
    return this.#taken + bytes <= this.#maxBytes * plentyShare;
  }

  #serve(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const hasRoom = this.fits(first.bytes);
      if (!hasRoom && this.#handedOver >= this.#maxBytes / 2) return;
      this.#waiting.shift();
      if (hasRoom) this.#taken += first.bytes;
      first.resolve(hasRoom);
    }
  }
}
