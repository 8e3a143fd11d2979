interface Bucket {
  tokens: number;
  atMs: number;
}

/** Names remembered at most; of more, those longest unused are forgotten, which gives them a full bucket again. */
const maxNames = 50_000;

/**
 * So many of something a minute for each name, all of them at once if need be. Costs one map entry per name in use and no
 * timer.
 */
export class TokenBuckets {
  readonly #size: number;
  readonly #perMs: number;
  readonly #buckets = new Map<string | number, Bucket>();

  /** Each bucket holds `size` tokens and is filled again within `periodMs`. A `size` of 0 is no limit. */
  constructor(size: number, periodMs = 60_000) {
    this.#size = size;
    this.#perMs = size / periodMs;
  }

  /** Takes one; false when there is none. */
  take(name: string | number, nowMs: number): boolean {
    if (this.#size === 0) return true;
    const tokens = this.#count(name, nowMs);
    this.#keep(name, { tokens: tokens < 1 ? tokens : tokens - 1, atMs: nowMs });
    return tokens >= 1;
  }

  /** Takes one for what has happened already. What was not there is owed, a whole bucket at most. */
  owe(name: string | number, nowMs: number): void {
    if (this.#size === 0) return;
    this.#keep(name, { tokens: Math.max(-this.#size, this.#count(name, nowMs) - 1), atMs: nowMs });
  }

  /** True when one could be taken now. */
  has(name: string | number, nowMs: number): boolean {
    return this.#size === 0 || this.#count(name, nowMs) >= 1;
  }

  #count(name: string | number, nowMs: number): number {
    const bucket = this.#buckets.get(name);
    if (bucket === undefined) return this.#size;
    return Math.min(this.#size, bucket.tokens + (nowMs - bucket.atMs) * this.#perMs);
  }

  #keep(name: string | number, bucket: Bucket): void {
    this.#buckets.delete(name);
    this.#buckets.set(name, bucket);
    if (this.#buckets.size > maxNames) this.#forgetOne();
  }

  #forgetOne(): void {
    const oldest = this.#buckets.keys().next();
    if (!oldest.done) this.#buckets.delete(oldest.value);
  }
}
