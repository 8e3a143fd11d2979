import { parseAddress, type Address } from "../address.ts";
import { Refusal } from "../errors.ts";
import type { ApiKey, IngestReach, MailFilter, Route, Store } from "../store/store.ts";
import { hashKey } from "./keys.ts";

/** What a presented key may read and change, as of the moment it was looked up. No ingest key ever has one. */
export interface Access {
  keyId: number;
  publicId: string;
  userId: number;
  /** `null`: all mailboxes of the user. */
  mailboxIds: readonly number[] | null;
  readOnly: boolean;
  expiresAtMs: number | null;
  /** SHA-256 of the key, to look it up again while a socket stays open; one character for each octet, which takes a fifth of the memory of bytes. */
  hash: string;
}

/** Whom a presented ingest key may hand mail to. It reads nothing and changes nothing else. */
export interface IngestAccess {
  publicId: string;
  userId: number;
  reach: IngestReach;
  /** Only these mailboxes; `null`: all within reach. */
  mailboxIds: readonly number[] | null;
}

// Everything that could be a key; anything else is refused before it is hashed.
const keyShape = /^mk_[A-Za-z0-9_-]{1,125}$/;

/** Keys whose digests are kept; of any more, all are forgotten and hashed anew. */
const maxDigests = 10_000;

/** What a door asks before it does anything for a key. */
export class AccessControl {
  readonly #store: Store;
  /** Of keys that were good once: to hash one takes 9 µs, a tenth of a call. The store is asked all the same whether it still is. */
  readonly #digests = new Map<string, Buffer>();

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * The access of a key, or `null` when it is unknown, revoked or expired. Looked up each time, so a revoked key stops at
   * once. Throws `ingest_only_key` for a key that may only hand in mail.
   */
  async authenticate(key: string): Promise<Access | null> {
    if (!keyShape.test(key)) return null;
    const digest = this.#digests.get(key) ?? hashKey(key);
    const found = await this.#store.findKey(digest, Date.now());
    if (found === null) return null;
    if (found.ingest !== null) throw new Refusal("ingest_only_key");
    this.#keep(key, digest);
    return accessOf(found, digest.toString("latin1"));
  }

  /**
   * Whom a key may hand mail to, or `null` when it is unknown, revoked or expired. Throws `ingest_key_required` for a key
   * that was made to read.
   */
  async authenticateIngest(key: string): Promise<IngestAccess | null> {
    const found = keyShape.test(key) ? await this.#store.findKey(hashKey(key), Date.now()) : null;
    if (found === null) return null;
    const { publicId, userId, ingest, mailboxIds } = found;
    if (ingest === null) throw new Refusal("ingest_key_required");
    return { publicId, userId, reach: ingest, mailboxIds };
  }

  /** What the addresses of a `mail` parameter stand for; throws like {@link resolveFilters}. */
  resolve(access: Access, addresses: readonly string[]): Promise<MailFilter[]> {
    return resolveFilters(this.#store, access, addresses);
  }

  #keep(key: string, digest: Buffer): void {
    if (this.#digests.size >= maxDigests && !this.#digests.has(key)) this.#digests.clear();
    this.#digests.set(key, digest);
  }
}

/** Looks an access up again; `null` once its key is revoked or expired. */
export async function renewAccess(store: Store, access: Access): Promise<Access | null> {
  const key = await store.findKey(Buffer.from(access.hash, "latin1"), Date.now());
  return key === null ? null : accessOf(key, access.hash);
}

function accessOf(key: ApiKey, hash: string): Access {
  const { id, publicId, userId, mailboxIds, readOnly, expiresAtMs } = key;
  return { keyId: id, publicId, userId, mailboxIds, readOnly, expiresAtMs, hash };
}

/** Addresses that one request may name. */
const maxAddresses = 100;

/**
 * Turns the addresses of a `mail` parameter into filters. A plus-address means that tag only; an address that only a
 * catch-all takes means that address only. Throws `mailbox_scope_invalid` for the first address that does not exist,
 * is not the user's or is outside the key's scope, all alike, and `invalid_parameter` for more than 100.
 */
export async function resolveFilters(
  store: Store,
  access: Access,
  addresses: readonly string[],
): Promise<MailFilter[]> {
  if (addresses.length > maxAddresses) {
    throw new Refusal("invalid_parameter", { detail: `mail names more than ${maxAddresses} addresses` });
  }
  const filters: MailFilter[] = [];
  for (const text of addresses) {
    const filter = await resolveFilter(store, access, text);
    if (filter === null) throw new Refusal("mailbox_scope_invalid");
    filters.push(filter);
  }
  return filters;
}

/** The filters of those addresses that are (still) in scope; the rest is left out. */
export async function resolveLiveFilters(
  store: Store,
  access: Access,
  addresses: readonly string[],
): Promise<MailFilter[]> {
  const filters = await Promise.all(addresses.map((text) => resolveFilter(store, access, text)));
  return filters.filter((filter) => filter !== null);
}

/** Everything the key may read: `null` for a whole user, else its mailboxes. */
export function scopeFilters(access: Access): MailFilter[] | null {
  return access.mailboxIds?.map((mailboxId) => ({ mailboxId, mailTo: null })) ?? null;
}

/** Splits `mail` parameters at commas, but for those in quoted local parts, and reads a space in a local part as the `+` that form decoding took away. */
export function splitAddresses(values: readonly string[]): string[] {
  return values
    .flatMap((value) => splitList(value))
    .map((text) => restorePlus(text.trim()))
    .filter((text) => text !== "");
}

/** Linear. What follows a quote that is never closed is split at every comma. */
function splitList(value: string): string[] {
  if (!value.includes('"')) return value.split(",");
  const items: string[] = [];
  let start = 0;
  let quotedFrom = -1;
  for (let at = 0; at < value.length; at++) {
    const character = value[at];
    if (character === '"') quotedFrom = quotedFrom < 0 ? at : -1;
    else if (character === "\\" && quotedFrom >= 0) at++;
    else if (character === "," && quotedFrom < 0) {
      items.push(value.slice(start, at));
      start = at + 1;
    }
  }
  const rest = value.slice(start);
  return quotedFrom < 0 ? [...items, rest] : [...items, ...rest.split(",")];
}

function restorePlus(text: string): string {
  const at = text.lastIndexOf("@");
  return at < 0 || text.startsWith('"') ? text : text.slice(0, at).replaceAll(" ", "+") + text.slice(at);
}

async function resolveFilter(store: Store, access: Access, text: string): Promise<MailFilter | null> {
  const address = parseAddress(text);
  if (address === null) return null;
  const route = await store.route(address, Date.now());
  if (route.kind !== "mailbox" || route.mailbox.userId !== access.userId) return null;
  if (access.mailboxIds !== null && !access.mailboxIds.includes(route.mailbox.id)) return null;
  return filterOf(route, address);
}

/** What an address shows of the mailbox that it leads to: a tag or a catch-all address only its own mails. */
export function filterOf(route: Extract<Route, { kind: "mailbox" }>, address: Address): MailFilter {
  return { mailboxId: route.mailbox.id, mailTo: route.via === "address" ? null : address.text };
}
