import type { Outcome } from "./dns-message.ts";

export interface DnsCacheOptions {
  maxEntries: number;
  /** About what all entries may hold together. */
  maxBytes: number;
  /** Longest time that anything is believed, whatever its record says. */
  maxTtlMs: number;
  /** The same for names and records that are not there. */
  maxNegativeTtlMs: number;
  /** How long a server that could not say is not asked again (RFC 9520). */
  failedTtlMs: number;
}

interface Entry {
  outcome: Outcome;
  expiresAtMs: number;
  bytes: number;
}

/** What an entry costs beside its texts. */
const overheadBytes = 200;

/** Answers for as long as their records say, never longer; the least recently used go first when it is full. */
export class DnsCache {
  readonly #options: DnsCacheOptions;
  /** In the order of their last use. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(options: DnsCacheOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** What is known at a moment of a clock that never goes back. */
  get(key: string, nowMs: number): Outcome | null {
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    this.#drop(key, entry);
    if (entry.expiresAtMs <= nowMs) return null;
    this.#add(key, entry);
    return entry.outcome;
  }

  set(key: string, outcome: Outcome, nowMs: number): void {
    const ttlMs = this.#ttlOf(outcome);
    const known = this.#entries.get(key);
    if (known !== undefined) this.#drop(key, known);
    const bytes = overheadBytes + 2 * key.length + bytesOf(outcome);
    if (ttlMs <= 0 || bytes > this.#options.maxBytes) return;
    this.#add(key, { outcome, expiresAtMs: nowMs + ttlMs, bytes });
    for (const [oldKey, old] of this.#entries) {
      if (this.#entries.size <= this.#options.maxEntries && this.#bytes <= this.#options.maxBytes) return;
      this.#drop(oldKey, old);
    }
  }

  #ttlOf(outcome: Outcome): number {
    const { maxTtlMs, maxNegativeTtlMs, failedTtlMs } = this.#options;
    if (outcome.kind === "failed") return failedTtlMs;
    return Math.min(outcome.ttlMs, outcome.kind === "none" ? maxNegativeTtlMs : maxTtlMs);
  }

  #add(key: string, entry: Entry): void {
    this.#entries.set(key, entry);
    this.#bytes += entry.bytes;
  }

  #drop(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
  }
}

function bytesOf(outcome: Outcome): number {
  if (outcome.kind !== "records") return 0;
  return outcome.values.reduce((sum, value) => {
    if (typeof value === "string") return sum + 2 * value.length + 16;
    if (Array.isArray(value)) return sum + value.reduce((chars, chunk) => chars + 2 * chunk.length + 16, 16);
    return sum + 2 * value.exchange.length + 32;
  }, 0);
}
