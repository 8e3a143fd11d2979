import { DnsCache } from "./dns-cache.ts";
import { askServer, type DnsServer } from "./dns-exchange.ts";
import { readOutcome, type Outcome, type RecordType, type RecordValue } from "./dns-message.ts";
import { ServerWatch } from "./server-watch.ts";

export interface DnsResolverOptions {
  /** Asked in order; the one that answered last is asked first. At least one. */
  servers: readonly DnsServer[];
  /** How long one server is waited for, and how often a question is asked in all. Default 1.2 s, twice. */
  tryTimeoutMs?: number;
  tries?: number;
  /** Questions on their way at a time; any more fail at once. Default 256. */
  maxParallel?: number;
  cacheEntries?: number;
}

/** A name that could not be resolved. `code` is as in `node:dns`. */
export class DnsError extends Error {
  readonly code: string;

  constructor(code: string, name: string) {
    super(`${code} ${name}`);
    this.name = "DnsError";
    this.code = code;
  }
}

/** The texts, hosts or addresses of a name, as `dns.promises.resolve` gives them. */
export type Resolve = (name: string, type: string) => Promise<RecordValue[]>;

/** What one piece of work may ask. */
export interface ResolveLimits {
  /** On the clock of `performance.now()`; whatever is still open then fails with `ETIMEOUT`. */
  deadlineMs: number;
  maxQuestions: number;
}

const types: ReadonlySet<string> = new Set(["A", "AAAA", "CNAME", "MX", "NS", "PTR", "TXT"] satisfies RecordType[]);

/**
 * Asks DNS servers and remembers what they said. The same question is on its way once, however many want to know. While
 * no server answers at all, questions fail at once instead of waiting, and one question in a while sees whether they are back.
 */
export class DnsResolver {
  readonly #servers: readonly DnsServer[];
  readonly #tryTimeoutMs: number;
  readonly #tries: number;
  readonly #maxParallel: number;
  readonly #cache: DnsCache;
  readonly #watch: ServerWatch;
  readonly #onTheWay = new Map<string, Promise<Outcome | null>>();
  /** Index of the server that answered last. */
  #preferred = 0;

  constructor(options: DnsResolverOptions) {
    this.#servers = options.servers;
    this.#tryTimeoutMs = options.tryTimeoutMs ?? 1200;
    this.#tries = options.tries ?? Math.max(2, Math.min(3, options.servers.length));
    this.#maxParallel = options.maxParallel ?? 256;
    this.#cache = new DnsCache({
      maxEntries: options.cacheEntries ?? 20_000,
      maxBytes: 16 * 1024 * 1024,
      maxTtlMs: 3_600_000,
      maxNegativeTtlMs: 900_000,
      failedTtlMs: 5000,
    });
    // Every server knows the root, from memory: who does not answer this is not there.
    this.#watch = new ServerWatch(async () => (await this.#ask("", "NS", 1)) !== null);
  }

  /** What is remembered right now. */
  get cached(): { entries: number; bytes: number } {
    return { entries: this.#cache.size, bytes: this.#cache.bytes };
  }

  /**
   * A resolver for one piece of work, within its limits. It rejects with a {@link DnsError}: `ENOTFOUND`, `ENODATA`,
   * `EBADNAME` for what cannot be a name, and `ESERVFAIL`, `EREFUSED`, `ETIMEOUT` for what may be otherwise later.
   */
  within(limits: ResolveLimits): Resolve {
    let left = limits.maxQuestions;
    return async (name, type) => {
      if (!types.has(type) || !isName(name)) throw new DnsError("EBADNAME", name);
      if (left-- <= 0) throw new DnsError("ETIMEOUT", name);
      const outcome = await this.#lookUp(name, type as RecordType, limits.deadlineMs);
      if (outcome === null) throw new DnsError("ETIMEOUT", name);
      if (outcome.kind !== "records") throw new DnsError(outcome.code, name);
      // Copied, because it may be sorted or cut by whoever asked.
      return structuredClone(outcome.values);
    };
  }

  /** `null`: no answer by then. */
  async #lookUp(name: string, type: RecordType, deadlineMs: number): Promise<Outcome | null> {
    const key = `${type} ${name.toLowerCase().replace(/\.$/, "")}`;
    const known = this.#cache.get(key, performance.now());
    if (known !== null) return known;
    const patienceMs = deadlineMs - performance.now();
    if (patienceMs <= 0) return null;
    let answer = this.#onTheWay.get(key);
    if (answer === undefined) {
      if (this.#onTheWay.size >= this.#maxParallel || this.#watch.isAway(performance.now())) return null;
      answer = this.#askAndRemember(key, name, type);
      this.#onTheWay.set(key, answer);
    }
    return within(patienceMs, answer);
  }

  async #askAndRemember(key: string, name: string, type: RecordType): Promise<Outcome | null> {
    const outcome = await this.#ask(name, type, this.#tries);
    this.#onTheWay.delete(key);
    if (outcome !== null) this.#cache.set(key, outcome, performance.now());
    this.#watch.note(outcome !== null, performance.now());
    return outcome;
  }

  /** Never rejects; `null` when no server answers. A server that fails is believed only when no other knows better. */
  async #ask(name: string, type: RecordType, tries: number): Promise<Outcome | null> {
    let failed: Outcome | null = null;
    const first = this.#preferred;
    for (let attempt = 0; attempt < tries; attempt++) {
      const index = (first + attempt) % this.#servers.length;
      const server = this.#servers[index];
      if (server === undefined) return failed;
      try {
        const outcome = readOutcome(await askServer(server, { name, type }, this.#tryTimeoutMs), name, type);
        if (outcome.kind !== "failed") {
          this.#preferred = index;
          return outcome;
        }
        failed = outcome;
        if (attempt + 1 >= this.#servers.length) return failed;
      } catch {
        // Not there, or too slow: the next one, or the same once more.
      }
    }
    return failed;
  }
}

/** Labels of 1 to 63 octets, 253 in all, ASCII (RFC 1035 section 2.3.4). */
function isName(name: string): boolean {
  const bare = name.endsWith(".") ? name.slice(0, -1) : name;
  return bare.length <= 253 && bare.split(".").every((label) => /^[\u0021-\u007e ]{1,63}$/.test(label));
}

async function within<T>(patienceMs: number, answer: Promise<T>): Promise<T | null> {
  const late = Promise.withResolvers<null>();
  const timer = setTimeout(() => late.resolve(null), patienceMs);
  try {
    return await Promise.race([answer, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
