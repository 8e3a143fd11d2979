import { addUser, setUp } from "../../src/mail/setup.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import type { Store } from "../../src/store/store.ts";
import { newMailbox } from "../support/new-mailbox.ts";
import { silentLog } from "../support/silent-log.ts";

/** One user of a test's server, with all it needs to know. */
export interface Resident {
  /** Main mailbox. */
  address: string;
  key: string;
  /** The main mailbox and its aliases. */
  addresses: readonly string[];
}

/** Opens the store of a data directory in this process, beside a server or after one. */
export function openStore(dataDir: string): Promise<Store> {
  return openSqliteStore({ dataDir, log: silentLog() });
}

/** Makes users with a main mailbox and one alias each, before the first server starts. */
export async function settleResidents(dataDir: string, names: readonly string[]): Promise<Resident[]> {
  await using store = await openStore(dataDir);
  const domain = "mails.localhost";
  const [first = "demo", ...others] = names;
  const { firstUser, newKey } = await setUp(store, {
    domain,
    tempDomain: `temp.${domain}`,
    bootstrapMail: `${first}@${domain}`,
    bootstrapKey: null,
  });
  if (firstUser === null || newKey === null) throw new Error("the data directory is not new");
  const users = [{ user: firstUser, key: newKey }];
  for (const name of others) users.push(await addUser(store, { address: `${name}@${domain}`, nowMs: Date.now() }));
  const residents: Resident[] = [];
  for (const { user, key } of users) {
    const alias = user.address.replace("@", ".alias@");
    await store.createMailbox(newMailbox({ userId: user.id, address: alias }));
    residents.push({ address: user.address, key, addresses: [user.address, alias] });
  }
  return residents;
}
