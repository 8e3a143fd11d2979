import type { Route, RouteAddress } from "../store.ts";
import type { Connection } from "./connection.ts";
import { directoryRevision, route } from "./directory-reads.ts";

/** For so long nobody looks whether another process has changed a mailbox. */
const freshMs = 10;
/** Of any more all are forgotten and looked up anew. */
const maxRoutes = 10_000;

type MailboxRoute = Extract<Route, { kind: "mailbox" }>;

/**
 * Routes to mailboxes by their own address or a tag of it, kept for as long as nobody has changed a mailbox: every such
 * change raises the store's revision. What this process has changed is seen as soon as {@link refresh} is called. What
 * another one has changed is seen within 10 ms: to look after every commit costs a single mail 4 % of its processor time.
 * A mail to a mailbox that was deleted meanwhile finds that out at its commit.
 */
export class RouteCache {
  readonly #routes = new Map<string, MailboxRoute>();
  #revision = 0;
  #freshUntilMs = 0;

  /** Store.route. */
  find(connection: Connection, address: RouteAddress, nowMs: number): Route {
    if (performance.now() >= this.#freshUntilMs) this.#read(connection);
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
    this.#freshUntilMs = 0;
  }

  #read(connection: Connection): void {
    // Before the routes: one that is changed in between is then forgotten the next time.
    const revision = directoryRevision(connection);
    if (revision !== this.#revision) this.#routes.clear();
    this.#revision = revision;
    this.#freshUntilMs = performance.now() + freshMs;
  }
}

function isLive({ mailbox }: MailboxRoute, nowMs: number): boolean {
  return mailbox.expiresAtMs === null || mailbox.expiresAtMs > nowMs;
}
