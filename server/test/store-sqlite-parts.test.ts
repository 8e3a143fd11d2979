import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import type { ListedMail, MailFilter, MailQuery, User } from "../src/store/store.ts";
import { type DataDirectory, sqliteEngine } from "./support/sqlite-engine.ts";
import { box, inBox, main, now, StoreScene, type Recipient } from "./support/store-place.ts";

/** What a transaction may leave in a new part. */
const maxNewRows = 1024;

function databaseOf(scene: StoreScene): DatabaseSync {
  return new DatabaseSync(join((scene.place as DataDirectory).dataDir, "catmails.db"));
}

/** Throws unless each mail is in one table of each list that it belongs to, and of each mailbox the newest are in the new part. */
function assertTrueParts(database: DatabaseSync): void {
  const rows = (sql: string): unknown[] => database.prepare(sql).all();
  const byMailbox = "SELECT user_id, mailbox_id, id FROM";
  const byAddress = "SELECT user_id, mailbox_id, mail_to, id FROM";
  for (const [name, listed, mails] of [
    ["mailboxes", `${byMailbox} mailbox_mail UNION ALL ${byMailbox} new_mailbox_mail`, `${byMailbox} mail`],
    ["addresses", `${byAddress} address_mail`, `${byAddress} mail WHERE mail_to IS NOT NULL`],
  ] as const) {
    const [counts] = rows(
      `SELECT (SELECT count(*) FROM (${listed})) AS listed, (SELECT count(*) FROM (${mails})) AS mails`,
    );
    const { listed: count, mails: wanted } = counts as { listed: number; mails: number };
    assert.equal(count, wanted, `${name}: rows and mails`);
    assert.deepEqual(rows(`${mails} EXCEPT SELECT * FROM (${listed})`), [], `${name}: not listed`);
  }
  const newer = "FROM new_mailbox_mail n JOIN mailbox_mail s USING (user_id, mailbox_id) WHERE s.id > n.id";
  assert.deepEqual(rows(`SELECT n.id ${newer} LIMIT 1`), [], "a newer mail is settled");
  const [fresh] = rows("SELECT count(*) AS n FROM new_mailbox_mail") as { n: number }[];
  assert.ok((fresh?.n ?? Infinity) <= maxNewRows, `the new part has ${fresh?.n} rows`);
}

/** A user's mailboxes and addresses, and what was delivered to each. */
class Deliveries {
  readonly #scene: StoreScene;
  readonly #user: User;
  readonly #sent: (Recipient & { id: number })[] = [];

  constructor(scene: StoreScene, user: User) {
    this.#scene = scene;
    this.#user = user;
  }

  /** In turns, with every third address in a row of its own now and then, so that mailboxes fill unevenly. */
  async send(count: number, to: readonly Recipient[]): Promise<void> {
    const picked = Array.from({ length: count }, (_, index) => to[(index * index + (index >> 3)) % to.length]!);
    const ids = await Promise.all(picked.map((recipient, index) => this.#scene.deliver(recipient, `${index}`)));
    picked.forEach((recipient, index) => this.#sent.push({ ...recipient, id: ids[index]! }));
  }

  forgetWhere(isGone: (mail: Recipient & { id: number }) => boolean): void {
    this.#sent.splice(0, this.#sent.length, ...this.#sent.filter((mail) => !isGone(mail)));
  }

  get ids(): number[] {
    return this.#sent.map(({ id }) => id).toSorted((a, b) => a - b);
  }

  /** Every page of a list, in both orders, with pages that end anywhere. */
  async assertListed(filters: readonly MailFilter[]): Promise<void> {
    const wanted = this.#sent
      .filter((mail) =>
        filters.some(
          ({ mailboxId, mailTo }) => mail.mailboxId === mailboxId && (mailTo === null || mailTo === mail.mailTo),
        ),
      )
      .map(({ id }) => id)
      .toSorted((a, b) => a - b);
    const oldest = await this.#walk({ filters, order: "oldest" });
    const newest = await this.#walk({ filters, order: "newest" });
    assert.deepEqual(oldest, wanted, "oldest first");
    assert.deepEqual(newest, wanted.toReversed(), "newest first");
  }

  async #walk(query: Pick<MailQuery, "filters" | "order">): Promise<number[]> {
    const ids: number[] = [];
    let page: ListedMail[];
    do {
      const last = ids.at(-1);
      const from = last === undefined ? {} : query.order === "oldest" ? { afterId: last } : { beforeId: last };
      page = await this.#scene.list(this.#user, { ...query, ...from, limit: 77 });
      ids.push(...page.map(({ id }) => id));
    } while (page.length === 77);
    return ids;
  }
}

await test("mails of many mailboxes are listed whole and in order, whichever part they lie in", async () => {
  await using scene = await StoreScene.open(sqliteEngine);
  const ann = await scene.user("ann");
  const temps = await Promise.all(Array.from({ length: 12 }, (_, index) => scene.temp(ann, `t${index}`)));
  const tagged = main(ann, "ann+tag@mails.test");
  const others = Array.from({ length: 5 }, (_, index) => main(ann, `ann+${index}@mails.test`));
  const deliveries = new Deliveries(scene, ann);
  const lists: MailFilter[][] = [
    [{ mailboxId: ann.mailboxId, mailTo: null }],
    [{ mailboxId: ann.mailboxId, mailTo: tagged.mailTo }],
    [inBox(temps[3]!), inBox(temps[7]!), { mailboxId: ann.mailboxId, mailTo: tagged.mailTo }],
    ...temps.map((temp) => [inBox(temp)]),
  ];
  using database = databaseOf(scene);

  // One that never gets more mail, and would stay in the new part for ever if only the busy ones were moved.
  await deliveries.send(1, [box(temps[0]!)]);
  for (const count of [1, 900, 500, 3000]) {
    await deliveries.send(count, [main(ann), tagged, ...others, ...temps.slice(1).map((temp) => box(temp))]);
    assertTrueParts(database);
    for (const filters of lists) await deliveries.assertListed(filters);
  }
  const quiet = `SELECT count(*) AS n FROM mailbox_mail WHERE mailbox_id = ${temps[0]!.id}`;
  assert.equal(database.prepare(quiet).get()?.["n"], 1, "the quiet mailbox is settled too");

  const kept = 1700;
  const all = deliveries.ids;
  const trim = { userId: ann.id, beforeMs: 0, maxCount: kept, limit: 400 };
  while ((await scene.store.trimMails(trim)) > 0) assertTrueParts(database);
  deliveries.forgetWhere(({ id }) => id < all.at(-kept)!);
  assert.equal(deliveries.ids.length, kept);
  for (const filters of lists) await deliveries.assertListed(filters);

  for (const name of ["t3", "t9"]) await scene.drop(ann, name);
  await scene.purgeAll(130);
  assertTrueParts(database);
  deliveries.forgetWhere(({ mailboxId }) => mailboxId === temps[3]!.id || mailboxId === temps[9]!.id);
  for (const filters of lists) await deliveries.assertListed(filters);

  await scene.store.trimMails({ userId: ann.id, beforeMs: now + 1, maxCount: 0, limit: 5000 });
  while (database.prepare("SELECT 1 FROM mail").get() !== undefined) {
    await scene.store.trimMails({ userId: ann.id, beforeMs: Number.MAX_SAFE_INTEGER, maxCount: 0, limit: 5000 });
  }
  assertTrueParts(database);
});

await test("one mailbox's mail goes over too, a transaction of very many at once", async () => {
  await using scene = await StoreScene.open(sqliteEngine);
  const ann = await scene.user("ann");
  const deliveries = new Deliveries(scene, ann);
  using database = databaseOf(scene);
  for (const count of [2500, 1, 700]) {
    await deliveries.send(count, [main(ann)]);
    assertTrueParts(database);
  }
  await deliveries.assertListed([{ mailboxId: ann.mailboxId, mailTo: null }]);
});

await test("a list that is not true to the mails is noticed", async () => {
  await using scene = await StoreScene.open(sqliteEngine);
  const ann = await scene.user("ann");
  const deliveries = new Deliveries(scene, ann);
  await deliveries.send(1300, [main(ann), main(ann, "ann+tag@mails.test")]);
  using database = databaseOf(scene);
  assertTrueParts(database);
  const newest = "FROM new_mailbox_mail ORDER BY id DESC LIMIT 1";
  for (const change of [
    "DELETE FROM mailbox_mail WHERE id = 1",
    `INSERT INTO mailbox_mail SELECT * ${newest}`,
    `INSERT INTO mailbox_mail SELECT * ${newest}; DELETE FROM new_mailbox_mail WHERE id = (SELECT id ${newest})`,
    "DELETE FROM address_mail WHERE id % 2 = 0",
  ]) {
    database.exec(`BEGIN; ${change}`);
    assert.throws(() => assertTrueParts(database), change);
    database.exec("ROLLBACK");
  }
  await deliveries.assertListed([{ mailboxId: ann.mailboxId, mailTo: null }]);
});
