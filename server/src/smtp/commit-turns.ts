interface Waiting {
  bytes: number;
  resolve: () => void;
}

/**
 * Lets mails that lie in files back into memory one after the other: several small ones together, or one of any size.
 * First come, first served.
 */
export class CommitTurns {
  readonly #maxBytes: number;
  readonly #waiting: Waiting[] = [];
  #inTurn = 0;
  #bytes = 0;

  /** `maxBytes`: of all mails that have their turn, unless it is one alone. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Resolves when it is this mail's turn, to be ended by {@link leave} with the same number. */
  enter(bytes: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ bytes, resolve });
    this.#admit();
    return promise;
  }

  leave(bytes: number): void {
    this.#inTurn--;
    this.#bytes -= bytes;
    this.#admit();
  }

  #admit(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (this.#inTurn > 0 && this.#bytes + first.bytes > this.#maxBytes) return;
      this.#waiting.shift();
      this.#inTurn++;
      this.#bytes += first.bytes;
      first.resolve();
    }
  }
}
