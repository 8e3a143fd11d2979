import { parseAddress } from "../address.ts";
import { isRefusal } from "../errors.ts";
import type { ApiKey, NewDomain, Store, User } from "../store/store.ts";
import { givenKeyOf, hashKey, makeKey, storeKey } from "./keys.ts";

export interface SetupOptions {
  domain: string;
  tempDomain: string;
  bootstrapMail: string;
  bootstrapKey: string | null;
}

export interface SetupResult {
  /** The oldest user, which this start may have made. `null` when another process was making one at the same moment. */
  firstUser: User | null;
  /** The new key when this start made one itself; to be shown once. */
  newKey: string | null;
  /** The configured bootstrap key is no longer an active key. */
  bootstrapKeyInactive: boolean;
}

/**
 * Makes sure that the configured domains are served and that there is a first user with a main mailbox and a key.
 * Safe when two processes start at once. A store that has users is never given another.
 */
export async function setUp(store: Store, options: SetupOptions): Promise<SetupResult> {
  const nowMs = Date.now();
  await ensureDomain(store, { name: options.domain, allowsTemp: false, nowMs });
  await ensureDomain(store, { name: options.tempDomain, allowsTemp: true, nowMs });
  const known = options.bootstrapKey === null ? null : await store.findKey(hashKey(options.bootstrapKey), nowMs);
  const [existing] = await store.listUsers({ afterId: 0, limit: 1 });
  const user = existing ?? (await createFirstUser(store, options.bootstrapMail, nowMs));
  const result: SetupResult = { firstUser: user, newKey: null, bootstrapKeyInactive: false };
  // A user whose every key was revoked has keys; one without any was left by a start that was cut off.
  const [anyKey] = user === null ? [null] : await store.listKeys({ userId: user.id, afterId: 0, limit: 1 });
  if (user === null || anyKey !== undefined) {
    return { ...result, bootstrapKeyInactive: options.bootstrapKey !== null && known === null };
  }
  const made = options.bootstrapKey === null ? makeKey() : givenKeyOf(options.bootstrapKey);
  await storeKey(store, made, { userId: user.id, nowMs });
  return { ...result, newKey: options.bootstrapKey === null ? made.text : null };
}

/** `null` when another process that started at the same moment was first. */
async function createFirstUser(store: Store, address: string, nowMs: number): Promise<User | null> {
  const domain = parseAddress(address)?.domain;
  if (domain !== undefined) await ensureDomain(store, { name: domain, allowsTemp: false, nowMs });
  try {
    return await store.createUser({ address, nowMs });
  } catch (error) {
    if (!isRefusal(error, "address_taken")) throw error;
    return null;
  }
}

/** Makes a user with its main mailbox and a key that may do everything; `key` is to be shown once. */
export async function addUser(
  store: Store,
  input: { address: string; nowMs: number },
): Promise<{ user: User; key: string; stored: ApiKey }> {
  const made = makeKey();
  const user = await store.createUser({ address: input.address, nowMs: input.nowMs });
  const stored = await storeKey(store, made, { userId: user.id, nowMs: input.nowMs });
  return { user, key: made.text, stored };
}

/** Serves a domain unless it is served already, which leaves it as it is. */
export async function ensureDomain(store: Store, domain: NewDomain): Promise<void> {
  try {
    await store.createDomain(domain);
  } catch (error) {
    if (!isRefusal(error, "domain_taken")) throw error;
  }
}
