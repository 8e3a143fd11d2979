import { createLog } from "../server/src/log.ts";
import { setUp } from "../server/src/mail/setup.ts";
import { openSqliteStore } from "../server/src/store/sqlite/sqlite-store.ts";

const domain = "mails.localhost";
const mailboxesPerUser = 100;
/** Changes on their way at once: the writer takes what has gathered in one transaction. */
const atOnce = 1_000;

/** Makes a data directory with so many mailboxes, of a hundredth as many users; answers their addresses. */
export async function makeMailboxes(options: { dataDir: string; key: string; mailboxes: number }): Promise<string[]> {
  const log = createLog({ level: "warn", format: "json", write: (line) => process.stderr.write(line) });
  await using store = await openSqliteStore({ dataDir: options.dataDir, log });
  await setUp(store, {
    domain,
    tempDomain: `temp.${domain}`,
    bootstrapMail: `demo@${domain}`,
    bootstrapKey: options.key,
  });
  const nowMs = Date.now();
  const addresses = Array.from({ length: options.mailboxes }, (_, number) => `box${number}@${domain}`);
  const userIds: number[] = [];
  await inLots(Math.ceil(options.mailboxes / mailboxesPerUser), async (number) => {
    const { id } = await store.createUser({ address: `user${number}@${domain}`, nowMs });
    userIds.push(id);
  });
  const kind = {
    kind: "alias",
    expiresAtMs: null,
    random: false,
    forKeyId: null,
    maxTemp: 0,
    takeReserved: false,
  } as const;
  await inLots(options.mailboxes, async (number) => {
    const userId = userIds[number % userIds.length] ?? 0;
    await store.createMailbox({ userId, address: addresses[number] ?? "", nowMs, ...kind });
  });
  return addresses;
}

async function inLots(count: number, work: (number: number) => Promise<void>): Promise<void> {
  for (let done = 0; done < count; done += atOnce) {
    const lot = Array.from({ length: Math.min(atOnce, count - done) }, (_, index) => work(done + index));
    await Promise.all(lot);
  }
}
