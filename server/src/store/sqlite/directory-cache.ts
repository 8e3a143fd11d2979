import type { ApiKey, Route, RouteAddress } from "../store.ts";
import type { Connection } from "./connection.ts";
import { directoryRevision, findKey, route } from "./directory-reads.ts";

/** For so long nobody looks whether another process has changed a mailbox. */
const routesFreshMs = 10;
/** Of any more routes, or keys, all are forgotten and looked up anew. */
const maxEntries = 10_000;

type MailboxRoute = Extract<Route, { kind: "mailbox" }>;

/**
 * Routes to mailboxes by their own address or a tag of it, and keys by their hash, kept for as long as nobody has changed a
 * mailbox or a key: every such change raises the store's revision. What this process has changed is seen as soon as
 * {@link refresh} is called. What another one has changed is seen for keys in the next turn of the event loop, for routes within
 * 10 ms: to look in each turn costs a mail that comes alone 4 % of its processor time, and a mail to a mailbox that was deleted
 * meanwhile finds that out at its commit.
 */
export class DirectoryCache {
  readonly #routes = new Map<string, MailboxRoute>();
  readonly #keys = new Map<string, ApiKey>();
  #revision = 0;
  #keysAreFresh = false;
  #routesFreshUntilMs = 0;

  /** Store.route. */
  route(connection: Connection, address: RouteAddress, nowMs: number): Route {
    if (performance.now() >= this.#routesFreshUntilMs) this.#read(connection);
    const known = this.#routes.get(address.text);
    if (known !== undefined && isCurrent(known.mailbox, nowMs)) return known;
    const found = route(connection, address, nowMs);
    // What a catch-all gets depends on domains and reservations too.
    if (found.kind !== "mailbox" || found.via === "catch-all") return found;
    keep(this.#routes, address.text, found);
    return found;
  }

  /** Store.findKey. */
  findKey(connection: Connection, hash: Uint8Array, nowMs: number): ApiKey | null {
    if (!this.#keysAreFresh) {
      // What is done for a key reads several times in the same turn.
      connection.holdForTurn();
      this.#read(connection);
      this.#keysAreFresh = true;
      setImmediate(() => {
        this.#keysAreFresh = false;
      });
    }
    const name = Buffer.from(hash.buffer, hash.byteOffset, hash.byteLength).toString("latin1");
    const known = this.#keys.get(name);
    if (known !== undefined && isCurrent(known, nowMs)) return known;
    const found = findKey(connection, hash, nowMs);
    if (found !== null) keep(this.#keys, name, found);
    return found;
  }

  /** What this process has changed counts from here on. */
  refresh(): void {
    this.#keysAreFresh = false;
    this.#routesFreshUntilMs = 0;
  }

  #read(connection: Connection): void {
    // Before the entries: one that is changed in between is then forgotten the next time.
    const revision = directoryRevision(connection);
    if (revision !== this.#revision) {
      this.#routes.clear();
      this.#keys.clear();
    }
    this.#revision = revision;
    this.#routesFreshUntilMs = performance.now() + routesFreshMs;
  }
}

function isCurrent({ expiresAtMs }: { expiresAtMs: number | null }, nowMs: number): boolean {
  return expiresAtMs === null || expiresAtMs > nowMs;
}

function keep<Entry>(entries: Map<string, Entry>, name: string, entry: Entry): void {
  if (entries.size >= maxEntries) entries.clear();
  entries.set(name, entry);
}
