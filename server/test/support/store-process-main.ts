import { acquireServeLock } from "../../src/store/sqlite/serve-lock.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import type { Store, User } from "../../src/store/store.ts";
import { main, newMail } from "./store-place.ts";

// See `StoreProcess` for what it does.

const say = (line: string): boolean => process.stdout.write(`${line}\n`);

async function deliver(store: Store, user: User, worker: number): Promise<never> {
  for (let count = 0; ; count++) {
    const subject = `${process.pid}-${worker}-${count}`;
    try {
      const { delivered } = await store.commit(newMail(main(user), subject, { raw: new Uint8Array(4096) }));
      say(`stored ${delivered[0]?.id} ${subject}`);
    } catch {
      say(`refused ${subject}`);
      // A full disk refuses as fast as it is asked.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

async function run(dataDir: string, task: string): Promise<void> {
  const store = await openSqliteStore({ dataDir });
  say("open");
  setInterval(() => undefined, 60_000);
  if (task === "lock") say(acquireServeLock(dataDir) === null ? "taken" : "locked");
  const user = await store.findUser("ann@mails.test");
  if (task !== "deliver" || user === null) return;
  await Promise.all(Array.from({ length: 20 }, (_, worker) => deliver(store, user, worker)));
}

await run(process.argv[2] ?? "", process.argv[3] ?? "");
