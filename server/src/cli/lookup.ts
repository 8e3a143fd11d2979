import type { Address } from "../address.ts";
import { filterOf } from "../mail/access.ts";
import type { Mailbox, MailFilter, Page, Store, User } from "../store/store.ts";
import { Failure } from "./failure.ts";

const pageSize = 500;

/** Everything that a paged call of the store answers, in its order. */
export async function everyRow<T extends { id: number }>(fetch: (page: Page) => Promise<T[]>): Promise<T[]> {
  const rows: T[] = [];
  for (;;) {
    const page = await fetch({ afterId: rows.at(-1)?.id ?? 0, limit: pageSize });
    rows.push(...page);
    if (page.length < pageSize) return rows;
  }
}

/** The user whose main mailbox this is. Throws `no_user`. */
export async function requireUser(store: Store, address: Address): Promise<User> {
  const user = await store.findUser(address.text);
  if (user !== null) return user;
  throw new Failure("no_user", `There is no user ${address.text}. "catmails user list" shows all.`);
}

/** The live mailbox with exactly this address. Throws `no_mailbox`. */
export async function requireMailbox(store: Store, address: Address): Promise<Mailbox> {
  const mailbox = await store.findMailbox(address.text, Date.now());
  if (mailbox !== null) return mailbox;
  throw new Failure("no_mailbox", `There is no mailbox ${address.text}.`);
}

/** Where mail for an address is kept, and the filter that shows it; `null` when nobody takes it. */
export async function findPlace(
  store: Store,
  address: Address,
): Promise<{ mailbox: Mailbox; filter: MailFilter } | null> {
  const route = await store.route(address, Date.now());
  if (route.kind !== "mailbox") return null;
  return { mailbox: route.mailbox, filter: filterOf(route, address) };
}

/** {@link findPlace} that throws `no_mailbox`. */
export async function requirePlace(store: Store, address: Address): Promise<{ mailbox: Mailbox; filter: MailFilter }> {
  const place = await findPlace(store, address);
  if (place !== null) return place;
  throw new Failure("no_mailbox", `There is no mailbox for ${address.text}.`);
}

/** Live mailboxes by row id, of the ids that are asked for. */
export async function mailboxAddresses(store: Store, ids: readonly number[]): Promise<Map<number, string>> {
  const nowMs = Date.now();
  const mailboxes = ids.length === 0 ? [] : await everyRow((page) => store.listMailboxes({ ...page, ids, nowMs }));
  return new Map(mailboxes.map(({ id, address }) => [id, address]));
}
