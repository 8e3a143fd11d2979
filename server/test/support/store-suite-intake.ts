import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isRefusal } from "../../src/errors.ts";
import { box, day, inBox, main, newMail, now, StoreScene, type StoreEngine } from "./store-place.ts";

/** What a commit promises: durable, ordered, byte-exact, and only for mailboxes that are there. */
export function intakeTests(engine: StoreEngine): void {
  describe("a committed mail", () => contentTests(engine));
  describe("mail ids", () => orderTests(engine));
  describe("a mailbox that went between RCPT and the commit", () => goneTests(engine));
  describe("the store as a whole", () => wholeTests(engine));
}

function contentTests(engine: StoreEngine): void {
  test("reads back as it came, byte for byte and character for character", async () => {
    await using scene = await StoreScene.open(engine);
    const ann = await scene.user("ann");
    const raw = Uint8Array.from({ length: 70_000 }, (_, index) => (index * 7) % 256);
    const subject = "Grüße 😀 \u0000 end";
    const content = `${"line\r\n".repeat(10_000)}日本語\u0000`;
    const mail = newMail(main(ann, "ann+tag@mails.test"), subject, { raw: raw.slice(), content });
    const id = await scene.deliver(mail.recipients, subject, { ...mail, envelopeFrom: "", defects: ["a", "b"] });
    const read = await scene.store.readMail({ userId: ann.id, id, mailboxIds: null, nowMs: now });
    assert.ok(read !== null);
    assert.deepEqual(Buffer.compare(read.raw, raw), 0);
    const { raw: _raw, ...rest } = read;
    assert.deepEqual(rest, {
      id,
      mailboxId: ann.mailboxId,
      mailFrom: "sender@example.org",
      mailTo: "ann+tag@mails.test",
      subject,
      content,
      receivedAtMs: now,
      envelopeFrom: "",
      defects: ["a", "b"],
    });
  });

  test("reads the same where its content stands in its raw, however much else does", async () => {
    await using scene = await StoreScene.open(engine);
    const ann = await scene.user("ann");
    const alias = await scene.alias(ann, "alias");
    const text = "Grüße 😀\r\n\r\n日本語\r\nYour code is 1234.";
    const sizes = [0, 1, 500, 4_000, 9_000, 20_000, 300_000, 2_000_000];
    for (const before of sizes) {
      for (const repeats of [0, 1, 80, 20_000]) {
        const [head, body] = [Buffer.from("x".repeat(before)), Buffer.from(text.repeat(repeats))];
        const raw = new Uint8Array(Buffer.concat([head, body, Buffer.from("\r\n \r\n")]));
        const contentAt = { start: head.length, end: head.length + body.length };
        const content = text.repeat(repeats).replaceAll("\r\n", "\n");
        const mail = { raw: raw.slice(), content, contentAt };
        const id = await scene.deliver([box(alias), main(ann)], "placed", mail);
        const key = { userId: ann.id, id, mailboxIds: null, nowMs: now };
        const read = await scene.store.readMail(key);
        assert.equal(Buffer.compare(read?.raw ?? new Uint8Array(1), raw), 0, `${before} bytes, then ${repeats} texts`);
        const page = { afterId: id - 1, beforeId: id + 1, maxChars: 9_000_000 };
        const lists = [null, [inBox(alias)], [inBox(alias), inBox(alias, "x@mails.test")]].map((filters) =>
          scene.list(ann, { ...page, filters }),
        );
        const mails = [read, await scene.store.describeMail(key), ...(await Promise.all(lists)).flat()];
        assert.equal(mails.length, 5);
        for (const { subject, content: shown } of mails.filter((one) => one !== null)) {
          assert.equal(subject, "placed");
          assert.ok(shown === content, `${before} bytes, then ${repeats} texts`);
        }
      }
    }
  });

  test("an empty mail is a mail", async () => {
    await using scene = await StoreScene.open(engine);
    const ann = await scene.user("ann");
    const id = await scene.deliver(main(ann), "", { raw: new Uint8Array(0), content: "" });
    const read = await scene.store.readMail({ userId: ann.id, id, mailboxIds: null, nowMs: now });
    assert.equal(read?.raw.length, 0);
  });

  test("is each recipient's own, and nobody else's", async () => {
    await using scene = await StoreScene.open(engine);
    const { store } = scene;
    const [ann, bob, eve] = [await scene.user("ann"), await scene.user("bob"), await scene.user("eve")];
    await scene.deliver(main(bob), "first");
    const recipients = [main(ann), main(bob), main(ann, "ann+x@mails.test")];
    const { delivered, gone } = await store.commit(newMail(recipients, "shared"));
    assert.deepEqual(
      delivered.map(({ userId, mailTo, id }) => [userId, mailTo, id]),
      [
        [ann.id, "ann@mails.test", 1],
        [bob.id, "bob@mails.test", 2],
        [ann.id, "ann+x@mails.test", 2],
      ],
    );
    assert.deepEqual(gone, []);
    assert.deepEqual(
      (await scene.list(ann)).map(({ mailTo }) => mailTo),
      ["ann+x@mails.test", "ann@mails.test"],
    );
    assert.deepEqual(await scene.subjects(bob), ["shared", "first"]);
    assert.deepEqual(await scene.subjects(eve), []);
    const read = (userId: number, id: number, mailboxIds: number[] | null = null) =>
      store.readMail({ userId, id, mailboxIds, nowMs: now });
    assert.equal((await read(bob.id, 1))?.subject, "first");
    assert.equal(await read(eve.id, 1), null);
    assert.equal(await read(ann.id, 3), null);
    assert.equal((await read(ann.id, 1, [ann.mailboxId]))?.subject, "shared");
    assert.equal(await read(ann.id, 1, [bob.mailboxId]), null);
    assert.equal(await read(ann.id, 1, []), null);
  });

  test("counts for its user as often as it is delivered", async () => {
    await using scene = await StoreScene.open(engine);
    const ann = await scene.user("ann");
    const recipients = [main(ann), main(ann, "ann+x@mails.test")];
    await scene.deliver(recipients, "x", { raw: new Uint8Array(1000) });
    await scene.deliver(main(ann), "y", { raw: new Uint8Array(10) });
    const user = await scene.store.findUser(ann.address);
    assert.deepEqual([user?.mailCount, user?.usedBytes], [3, 2010]);
  });
}

function orderTests(engine: StoreEngine): void {
  test("are dense and increase in commit order, each user's for itself", async () => {
    await using scene = await StoreScene.open(engine);
    const [ann, bob] = [await scene.user("ann"), await scene.user("bob")];
    assert.deepEqual(
      [...(await scene.store.lastMailIds([ann.id, bob.id, 999]))],
      [
        [ann.id, 0],
        [bob.id, 0],
      ],
    );
    const all = Array.from({ length: 300 }, (_, index) => scene.deliver(main(index % 3 === 0 ? bob : ann), `${index}`));
    assert.deepEqual(scene.store.pending().mails, 300);
    const ids = await Promise.all(all);
    assert.deepEqual(scene.store.pending(), { mails: 0, bytes: 0 });
    const [bobs, anns] = [ids.filter((_, index) => index % 3 === 0), ids.filter((_, index) => index % 3 !== 0)];
    assert.deepEqual(
      bobs,
      Array.from({ length: 100 }, (_, index) => index + 1),
    );
    assert.deepEqual(
      anns,
      Array.from({ length: 200 }, (_, index) => index + 1),
    );
    assert.deepEqual(
      [...(await scene.store.lastMailIds([bob.id, ann.id]))],
      [
        [bob.id, 100],
        [ann.id, 200],
      ],
    );
  });

  test("are never given out again, also when the newest mail is deleted", async () => {
    await using scene = await StoreScene.open(engine);
    const ann = await scene.user("ann");
    const temp = await scene.temp(ann, "t1");
    await scene.deliver(main(ann), "1");
    await scene.deliver(box(temp), "2");
    await scene.drop(ann, "t1");
    await scene.purgeAll();
    assert.equal(await scene.deliver(main(ann), "3"), 3);
    await scene.store.trimMails({ userId: ann.id, beforeMs: now + 1, maxCount: 0, limit: 10 });
    assert.deepEqual(await scene.list(ann), []);
    assert.equal(await scene.deliver(main(ann), "4"), 4);
  });

  test("become visible in increasing order while two processes commit for one user", async () => {
    await using scene = await StoreScene.open(engine);
    await using other = await scene.another();
    const ann = await scene.user("ann");
    const perStore = 400;
    let running = 2;
    const commitAll = async (store: StoreScene): Promise<void> => {
      await Promise.all(Array.from({ length: perStore }, (_, index) => store.deliver(main(ann), `${index}`)));
      running--;
    };
    const followed: number[] = [];
    const follow = async (): Promise<void> => {
      for (let cursor = 0, last = false; ;) {
        const page = await scene.list(ann, { afterId: cursor, order: "oldest", limit: 7 });
        followed.push(...page.map(({ id }) => id));
        cursor = followed.at(-1) ?? 0;
        if (page.length > 0) continue;
        if (last) return;
        last = running === 0;
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await Promise.all([commitAll(scene), commitAll(other), follow()]);
    assert.deepEqual(
      followed,
      Array.from({ length: 2 * perStore }, (_, index) => index + 1),
    );
  });
}

function goneTests(engine: StoreEngine): void {
  test("is left out, and the others get the mail", async () => {
    await using scene = await StoreScene.open(engine);
    const ann = await scene.user("ann");
    const temp = await scene.temp(ann, "t1");
    const old = await scene.temp(ann, "t2", { expiresAtMs: now });
    await scene.drop(ann, "t1");
    const mail = newMail([box(temp), main(ann), box(old)], "left");
    const { delivered, gone } = await scene.store.commit(mail);
    assert.deepEqual(
      delivered.map(({ id, mailboxId }) => [id, mailboxId]),
      [[1, ann.mailboxId]],
    );
    assert.deepEqual(
      gone.map(({ mailboxId }) => mailboxId),
      [temp.id, old.id],
    );
  });

  test("leaves nothing behind when there is no other", async () => {
    await using scene = await StoreScene.open(engine);
    const [ann, bob] = [await scene.user("ann"), await scene.user("bob")];
    const temp = await scene.temp(ann, "t1");
    await scene.drop(ann, "t1");
    const { delivered, gone } = await scene.store.commit(newMail(box(temp), "nothing"));
    assert.deepEqual([delivered.length, gone.length], [0, 1]);
    const foreign = await scene.store.commit(newMail({ ...main(bob), userId: ann.id }, "not hers"));
    assert.deepEqual([foreign.delivered.length, foreign.gone.length], [0, 1]);
    const user = await scene.store.findUser(ann.address);
    assert.deepEqual([user?.mailCount, user?.usedBytes], [0, 0]);
    assert.equal(await scene.deliver(main(ann), "first"), 1);
  });

  test("takes its old mail with it when somebody else takes the address", async () => {
    await using scene = await StoreScene.open(engine);
    const [ann, bob] = [await scene.user("ann"), await scene.user("bob")];
    const first = await scene.temp(ann, "t1");
    const id = await scene.deliver(box(first), "old");
    await scene.drop(ann, "t1");
    const key = { id, mailboxIds: null, nowMs: now };
    assert.equal(await scene.store.readMail({ userId: ann.id, ...key }), null);
    const second = await scene.temp(bob, "t1", { nowMs: now + 30 * day });
    for (const user of [ann, bob]) {
      assert.deepEqual(await scene.list(user), []);
      const filters = [first, second].map((mailbox) => ({ mailboxId: mailbox.id, mailTo: null }));
      assert.deepEqual(await scene.list(user, { filters }), []);
      assert.equal(await scene.store.readMail({ userId: user.id, ...key }), null);
    }
    const again = await scene.store.commit(newMail(box(first), "late"));
    assert.equal(again.gone.length, 1);
  });
}

function wholeTests(engine: StoreEngine): void {
  test("keeps everything when it is closed and opened again", async () => {
    await using scene = await StoreScene.open(engine);
    const other = await scene.another();
    const ann = await other.user("ann");
    await Promise.all(Array.from({ length: 50 }, (_, index) => other.deliver(main(ann), `${index}`)));
    await other[Symbol.asyncDispose]();
    await using again = await scene.another();
    assert.equal((await again.list(ann, { limit: 100 })).length, 50);
    assert.equal((await again.store.check()).schemaVersion, (await scene.store.check()).schemaVersion);
  });

  test("finishes what was asked for when it is closed, and refuses what comes later", async () => {
    await using scene = await StoreScene.open(engine);
    const other = await scene.another();
    const ann = await other.user("ann");
    const asked = Promise.all(Array.from({ length: 200 }, (_, index) => other.deliver(main(ann), `${index}`)));
    await other[Symbol.asyncDispose]();
    assert.equal((await asked).length, 200);
    await assert.rejects(other.deliver(main(ann), "late"), (error) => isRefusal(error, "store_failed"));
    await assert.rejects(other.list(ann), (error) => isRefusal(error, "store_failed"));
    assert.deepEqual([...(await scene.store.lastMailIds([ann.id]))], [[ann.id, 200]]);
  });

  test("writes a backup while mail comes in that holds a moment of it, whole", async () => {
    await using scene = await StoreScene.open(engine);
    const ann = await scene.user("ann");
    await Promise.all(Array.from({ length: 100 }, (_, index) => scene.deliver(main(ann), `${index}`)));
    const target = scene.place.backupTarget();
    const progress = { isDone: false };
    const backup = scene.store.backup(target).finally(() => (progress.isDone = true));
    let delivered = 100;
    while (!progress.isDone) {
      await scene.deliver(main(ann), "meanwhile");
      delivered++;
    }
    await backup;
    await assert.rejects(scene.store.backup(target));
    await using restored = await scene.place.restore(target);
    await using copy = await restored.open();
    const page = { filters: null, order: "oldest", limit: delivered, maxChars: 1e9, nowMs: now } as const;
    const ids = (await copy.listMails({ userId: ann.id, ...page })).map(({ id }) => id);
    assert.ok(ids.length >= 100 && ids.length <= delivered);
    assert.deepEqual(
      ids,
      Array.from(ids, (_, index) => index + 1),
    );
    assert.deepEqual([...(await copy.lastMailIds([ann.id]))], [[ann.id, ids.length]]);
  });
}
