import type { Route, RouteAddress } from "../store.ts";
import type { Connection } from "./connection.ts";
import { directoryRevision, route } from "./directory-reads.ts";

/** Of any more all are forgotten and looked up anew. */
const maxRoutes = 10_000;

type MailboxRoute = Extract<Route, { kind: "mailbox" }>;

/**
 * Routes to mailboxes by their own address or a tag of it, kept for as long as nobody has changed a mailbox: every such
 * change raises the store's revision, which is read once in each turn of the event loop. So what another process has
 * changed is seen in the next turn, and what this one has changed as soon as {@link refresh} is called.
 */
export class RouteCache {
  readonly #routes = new Map<string, MailboxRoute>();
  #revision = 0;
  #isFresh = false;

  /** Store.route. */
  find(connection: Connection, address: RouteAddress, nowMs: number): Route {
    if (!this.#isFresh) this.#read(connection);
    const known = this.#routes.get(address.text);
    if (known !== undefined && isLive(known, nowMs)) return known;
    const found = route(connection, address, nowMs);
    // What a catch-all gets depends on domains and reservations too.
    if (found.kind !== "mailbox" || found.via === "catch-all") return found;
    if (this.#routes.size >= maxRoutes) this.#routes.clear();
    this.#routes.set(address.text, found);
    return found;
  }

  /** What this process has changed counts from here on. */
  refresh(): void {
    this.#isFresh = false;
  }

  #read(connection: Connection): void {
    // Before the routes: one that is changed in between is then forgotten in the next turn.
    const revision = directoryRevision(connection);
    if (revision !== this.#revision) this.#routes.clear();
    this.#revision = revision;
    this.#isFresh = true;
    setImmediate(() => this.refresh());
  }
}

function isLive({ mailbox }: MailboxRoute, nowMs: number): boolean {
  return mailbox.expiresAtMs === null || mailbox.expiresAtMs > nowMs;
}
