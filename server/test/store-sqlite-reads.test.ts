import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { storeKey } from "../src/mail/keys.ts";
import { Connection } from "../src/store/sqlite/connection.ts";
import { MailMemory } from "../src/store/sqlite/mail-memory.ts";
import type { MailRecord } from "../src/store/store.ts";
import { DataDirectory, sqliteEngine } from "./support/sqlite-engine.ts";
import { box, inBox, main, now, StoreScene } from "./support/store-place.ts";

function mailOf(id: number, content: string): MailRecord {
  return { id, mailboxId: 1, mailFrom: "a@b.test", mailTo: "c@d.test", subject: "", content, receivedAtMs: 0 };
}

/** Asked for twice, which is what it takes to be kept. */
function keep(memory: MailMemory, userId: number, mail: MailRecord): void {
  memory.note(userId, { ...mail });
  memory.note(userId, mail);
}

describe("mails that were read lately", () => {
  test("are kept when they are asked for twice, each for its own user", () => {
    const memory = new MailMemory();
    const mail = mailOf(7, "hers");
    memory.note(1, mail);
    assert.equal(memory.get(1, 7), undefined);
    assert.equal(mail.isKept, undefined);
    memory.note(1, mail);
    assert.equal(memory.get(1, 7), mail);
    assert.equal(mail.isKept, true);
    assert.equal(memory.get(2, 7), undefined);
    assert.equal(memory.get(1, 8), undefined);
  });

  test("take no more than 8 Mi characters, the longest unasked going first, and never one that is very long", () => {
    const memory = new MailMemory();
    const chars = 60_000;
    const count = 500;
    for (let id = 1; id <= count; id++) {
      keep(memory, 1, mailOf(id, "x".repeat(chars)));
      assert.ok(memory.get(1, 1) !== undefined, `the first is asked for again and again, also after ${id}`);
    }
    const kept = Array.from({ length: count }, (_, index) => index + 1).filter((id) => memory.get(1, id) !== undefined);
    assert.ok(kept.length > 60 && kept.length * chars <= 8 * 1024 * 1024, `${kept.length} are kept`);
    assert.ok(kept.includes(count) && !kept.includes(2));
    keep(memory, 1, mailOf(count + 1, "x".repeat(70_000)));
    assert.equal(memory.get(1, count + 1), undefined);
  });

  test("are not shown once they are gone, and new ones come between them", async () => {
    await using scene = await StoreScene.open(sqliteEngine);
    const ann = await scene.user("ann");
    const whole = { mailboxId: ann.mailboxId, mailTo: null };
    for (const subject of ["1", "2", "3", "4"]) await scene.deliver(main(ann), subject);
    for (const round of [1, 2, 3]) {
      assert.deepEqual(await scene.subjects(ann, { filters: [whole] }), ["4", "3", "2", "1"], `round ${round}`);
    }
    const [kept] = await scene.list(ann, { filters: [whole] });
    assert.ok(kept?.isKept === true && kept === (await scene.list(ann, { filters: [whole] }))[0]);
    await scene.store.trimMails({ userId: ann.id, beforeMs: 0, maxCount: 3, limit: 10 });
    await scene.deliver(main(ann), "5");
    assert.deepEqual(await scene.subjects(ann, { filters: [whole] }), ["5", "4", "3", "2"]);
    assert.deepEqual(await scene.subjects(ann, { filters: [whole], order: "oldest", limit: 2 }), ["2", "3"]);
    const temp = await scene.temp(ann, "t");
    await scene.deliver(box(temp), "in a temp mailbox");
    const filters = [inBox(temp)];
    for (const round of [1, 2, 3]) {
      assert.deepEqual(await scene.subjects(ann, { filters }), ["in a temp mailbox"], `round ${round}`);
    }
    await scene.drop(ann, "t");
    assert.deepEqual(await scene.subjects(ann, { filters }), []);
  });

  test("of a whole user are shown without those of mailboxes that are gone", async () => {
    await using scene = await StoreScene.open(sqliteEngine);
    const ann = await scene.user("ann");
    const temp = await scene.temp(ann, "t");
    await scene.deliver(main(ann), "1");
    await scene.deliver(box(temp), "2");
    await scene.deliver(main(ann), "3");
    for (const round of [1, 2, 3]) assert.deepEqual(await scene.subjects(ann), ["3", "2", "1"], `round ${round}`);
    assert.equal((await scene.list(ann))[1], (await scene.list(ann))[1], "the same object: it comes from memory");
    await scene.drop(ann, "t");
    assert.deepEqual(await scene.subjects(ann), ["3", "1"]);
    assert.deepEqual(await scene.subjects(ann, { order: "oldest", afterId: 1 }), ["3"]);
  });

  test("end a page of long mails where it has to end, however many are read at a time", async () => {
    await using scene = await StoreScene.open(sqliteEngine);
    const ann = await scene.user("ann");
    const filters = [{ mailboxId: ann.mailboxId, mailTo: null }];
    const subjects = Array.from({ length: 80 }, (_, index) => String(index).padStart(2, "0"));
    await Promise.all(subjects.map((subject) => scene.deliver(main(ann), subject, { content: "x".repeat(98) })));
    const pages = [subjects.toReversed(), subjects] as const;
    for (const round of ["read", "read again", "known"]) {
      for (const [index, order] of (["newest", "oldest"] as const).entries()) {
        const found = await scene.subjects(ann, { filters, order, limit: 70, maxChars: 65 * 100 });
        assert.deepEqual(found, pages[index]?.slice(0, 65), `${round}, ${order} first`);
      }
    }
  });
});

describe("reads that are held together", () => {
  test("see one moment until their turn ends, and then the next", async () => {
    await using place = new DataDirectory();
    await using store = await place.open();
    await store.check();
    const file = join(place.dataDir, "catmails.db");
    using reader = new Connection(file, { readOnly: true });
    using writer = new Connection(file, { readOnly: false });
    const revision = (): number => reader.get<{ revision: number }>("SELECT revision FROM meta")?.revision ?? 0;
    const change = (): number => writer.change("UPDATE meta SET revision = revision + 1");
    const first = revision();
    change();
    assert.equal(revision(), first + 1, "alone, each read sees what is there");
    reader.holdForTurn();
    assert.equal(revision(), first + 1);
    change();
    // The promises of a turn belong to it.
    await Promise.resolve();
    reader.holdForTurn();
    assert.equal(
      reader.snapshot(() => revision()),
      first + 1,
    );
    await nextTurn();
    assert.equal(revision(), first + 2);
    assert.equal(reader.inTransaction, false);
  });
});

describe("keys that were looked up lately", () => {
  test("go as soon as anybody is told that another process has revoked them, also within the turn", async () => {
    await using scene = await StoreScene.open(sqliteEngine);
    const { store } = scene;
    const ann = await scene.user("ann");
    const hash = new Uint8Array(32).fill(7);
    await storeKey(store, { text: "", publicId: "k1", hash }, { userId: ann.id, nowMs: now });
    using other = new Connection(join((scene.place as DataDirectory).dataDir, "catmails.db"), { readOnly: false });
    const find = async (): Promise<string | undefined> => (await store.findKey(hash, now))?.publicId;
    await nextTurn();
    assert.equal(await find(), "k1");
    other.exec("BEGIN; UPDATE api_key SET revoked_at = 1; UPDATE meta SET revision = revision + 1; COMMIT");
    // What is held for the promises of this turn ends with them.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    assert.equal(await find(), "k1", "it is kept for the turn");
    await store.changedUsers(0);
    assert.equal(await find(), undefined);
  });
});
