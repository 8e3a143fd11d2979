import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { User } from "../../src/store/store.ts";
import { box, day, main, now, routeText, StoreScene, type StoreEngine } from "./store-place.ts";

async function counts(scene: StoreScene, user: User): Promise<[number, number]> {
  const found = await scene.store.findUser(user.address);
  return [found?.mailCount ?? -1, found?.usedBytes ?? -1];
}

const tenBytes = (): { raw: Uint8Array<ArrayBuffer> } => ({ raw: new Uint8Array(10) });

/** Expiry, purge and retention: in steps, with numbers that stay right. */
export function removalTests(engine: StoreEngine): void {
  describe("expiry", () => expiryTests(engine));
  describe("the purge", () => purgeTests(engine));
  describe("retention", () => retentionTests(engine));
}

function expiryTests(engine: StoreEngine): void {
  test("turns expired mailboxes into deleted ones, a few at a time, and reserves their names", async () => {
    await using scene = await StoreScene.open(engine);
    const [ann, bob] = [await scene.user("ann"), await scene.user("bob")];
    for (const name of ["t1", "t2", "t3"]) await scene.temp(ann, name, { expiresAtMs: now + 5 });
    await scene.temp(ann, "r1", { expiresAtMs: now + 5, random: true });
    await scene.temp(ann, "later", { expiresAtMs: now + 6 });
    const expire = (nowMs: number, limit: number): Promise<number> =>
      scene.store.expireMailboxes({ nowMs, reserveMs: day, limit });
    assert.equal(await expire(now + 4, 10), 0);
    assert.equal(await expire(now + 5, 3), 3);
    assert.equal(await expire(now + 5, 3), 1);
    assert.equal(await expire(now + 5, 3), 0);
    assert.equal(await routeText(scene.store, "later@mails.test", now + 5), "address later@mails.test");
    await assert.rejects(scene.temp(bob, "t1", { nowMs: now + day }));
    await scene.temp(bob, "t1", { nowMs: now + 5 + day });
    await assert.rejects(scene.temp(bob, "r1", { nowMs: now + 1000 * day }));
  });
}

function purgeTests(engine: StoreEngine): void {
  test("takes mails of deleted mailboxes in steps and leaves everything else", async () => {
    await using scene = await StoreScene.open(engine);
    const [ann, bob] = [await scene.user("ann"), await scene.user("bob")];
    const temp = await scene.temp(ann, "t1");
    for (let index = 0; index < 10; index++) {
      await scene.deliver([box(temp), main(ann), main(bob)], `${index}`, tenBytes());
    }
    assert.equal(await scene.purgeAll(), 0);
    await scene.drop(ann, "t1");
    assert.deepEqual(await counts(scene, ann), [20, 200]);
    assert.equal(await scene.store.purge({ nowMs: now, limit: 4 }), 4);
    assert.deepEqual(await counts(scene, ann), [16, 160]);
    // The other six, and the mailbox.
    assert.equal(await scene.purgeAll(4), 7);
    assert.deepEqual(
      [await counts(scene, ann), await counts(scene, bob)],
      [
        [10, 100],
        [10, 100],
      ],
    );
    assert.equal((await scene.list(bob)).length, 10);
    const [first] = await scene.list(ann, { order: "oldest" });
    const read = await scene.store.readMail({ userId: ann.id, id: first?.id ?? 0, mailboxIds: null, nowMs: now });
    assert.equal(read?.raw.length, 10);
  });

  test("forgets a removed user in the end, and leaves the others' copies of its mails", async () => {
    await using scene = await StoreScene.open(engine);
    const [ann, bob] = [await scene.user("ann"), await scene.user("bob")];
    await scene.temp(ann, "t1");
    for (let index = 0; index < 5; index++) await scene.deliver([main(ann), main(bob)], `${index}`);
    await scene.store.removeUser({ userId: ann.id, nowMs: now, reserveMs: day });
    // Five mails and two mailboxes; the user itself once every process had time to notice; then the reserved names.
    assert.equal(await scene.purgeAll(3), 7);
    assert.equal(await scene.purgeAll(3, now + 3_600_000), 1);
    assert.equal(await scene.purgeAll(3, now + day), 2);
    assert.equal((await scene.list(bob)).length, 5);
    const again = await scene.store.createUser({ address: "ann@mails.test", nowMs: now + day });
    assert.ok(again.id > bob.id);
    assert.deepEqual(await scene.list(again), []);
  });
}

function retentionTests(engine: StoreEngine): void {
  test("by age takes a user's mails received before a time, oldest first", async () => {
    await using scene = await StoreScene.open(engine);
    const [ann, bob] = [await scene.user("ann"), await scene.user("bob")];
    for (let index = 0; index < 10; index++) {
      await scene.deliver([main(ann), main(bob)], `${index}`, { receivedAtMs: now + index, ...tenBytes() });
    }
    const trim = (limit: number): Promise<number> =>
      scene.store.trimMails({ userId: ann.id, beforeMs: now + 6, maxCount: 0, limit });
    assert.deepEqual([await trim(4), await trim(4), await trim(4)], [4, 2, 0]);
    assert.deepEqual(await scene.subjects(ann, { order: "oldest" }), ["6", "7", "8", "9"]);
    assert.deepEqual(
      [await counts(scene, ann), await counts(scene, bob)],
      [
        [4, 40],
        [10, 100],
      ],
    );
  });

  test("by count keeps the newest, and none but visible mails fill it", async () => {
    await using scene = await StoreScene.open(engine);
    const ann = await scene.user("ann");
    const temp = await scene.temp(ann, "t1");
    for (let index = 0; index < 10; index++) await scene.deliver(main(ann), `${index}`, tenBytes());
    for (let index = 0; index < 10; index++) await scene.deliver(box(temp), "temp", tenBytes());
    await scene.drop(ann, "t1");
    const trim = (limit: number): Promise<number> =>
      scene.store.trimMails({ userId: ann.id, beforeMs: 0, maxCount: 7, limit });
    await trim(100);
    assert.equal((await scene.list(ann)).length >= 7, true);
    await scene.purgeAll();
    await trim(1);
    await trim(100);
    assert.equal(await trim(100), 0);
    assert.deepEqual(await scene.subjects(ann, { order: "oldest" }), ["3", "4", "5", "6", "7", "8", "9"]);
    assert.deepEqual(await counts(scene, ann), [7, 70]);
    assert.equal(await scene.store.trimMails({ userId: ann.id, beforeMs: 0, maxCount: 0, limit: 9 }), 0);
  });
}
