import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { isRefusal, type ErrorName } from "../../src/errors.ts";
import type { NewApiKey, User } from "../../src/store/store.ts";
import { day, main, newMail, now, routeText, StoreScene, type StoreEngine } from "./store-place.ts";
import { until } from "./until.ts";

const refuses = (promise: Promise<unknown>, name: ErrorName): Promise<void> =>
  assert.rejects(promise, (error) => isRefusal(error, name));

function newKey(user: User, name: string, more: Partial<NewApiKey> = {}): NewApiKey {
  return {
    userId: user.id,
    publicId: name,
    hash: createHash("sha256").update(name).digest(),
    mailboxIds: null,
    readOnly: false,
    ingest: null,
    expiresAtMs: null,
    nowMs: now,
    ...more,
  };
}

const hashOf = (name: string): Uint8Array => createHash("sha256").update(name).digest();

/** Users, keys, mailboxes, domains and what leads from an address to them. */
export function directoryTests(engine: StoreEngine): void {
  describe("users", () => userTests(engine));
  describe("addresses", () => addressTests(engine));
  describe("keys", () => keyTests(engine));
  describe("domains and routes", () => routeTests(engine));
  describe("changes in the directory", () => changeTests(engine));
}

function userTests(engine: StoreEngine): void {
  test("a user comes with its main mailbox and is found by its address", async () => {
    await using scene = await StoreScene.open(engine);
    const ann = await scene.user("ann");
    const expected = { address: "ann@mails.test", usedBytes: 0, mailCount: 0, createdAtMs: now };
    assert.deepEqual(ann, { id: ann.id, mailboxId: ann.mailboxId, ...expected });
    assert.deepEqual(await scene.store.findUser("ann@mails.test"), ann);
    assert.equal(await scene.store.findUser("bob@mails.test"), null);
    const mailbox = await scene.store.findMailbox("ann@mails.test", now);
    assert.deepEqual([mailbox?.id, mailbox?.userId, mailbox?.kind], [ann.mailboxId, ann.id, "main"]);
  });

  test("users are listed by page in id order", async () => {
    await using scene = await StoreScene.open(engine);
    const ids = [];
    for (const name of ["a", "b", "c"]) ids.push((await scene.user(name)).id);
    const first = await scene.store.listUsers({ afterId: 0, limit: 2 });
    const rest = await scene.store.listUsers({ afterId: first[1]?.id ?? 0, limit: 2 });
    assert.deepEqual(
      [...first, ...rest].map(({ id }) => id),
      ids,
    );
  });

  test("a removed user's keys, mailboxes and mails are gone at once, and its addresses are reserved", async () => {
    await using scene = await StoreScene.open(engine);
    const { store } = scene;
    const [ann, bob] = [await scene.user("ann"), await scene.user("bob")];
    await scene.temp(ann, "t1");
    await store.createKey(newKey(ann, "k"));
    await scene.deliver(main(ann), "one");
    const removal = { userId: ann.id, nowMs: now, reserveMs: day };
    assert.equal(await store.removeUser(removal), true);
    assert.equal(await store.removeUser(removal), false);
    assert.equal(await store.findUser(ann.address), null);
    assert.equal(await store.findKey(hashOf("k"), now), null);
    assert.equal(await routeText(store, ann.address), "unknown_mailbox");
    assert.deepEqual(await scene.list(ann), []);
    assert.deepEqual(
      (await store.listUsers({ afterId: 0, limit: 9 })).map(({ id }) => id),
      [bob.id],
    );
    assert.equal((await store.lastMailIds([ann.id])).has(ann.id), false);
    await refuses(scene.temp(bob, "t1"), "address_reserved");
    await refuses(scene.temp(ann, "t2"), "not_found");
    await scene.temp(bob, "t1", { nowMs: now + day + 1 });
  });
}

function addressTests(engine: StoreEngine): void {
  test("an address is one live mailbox's", async () => {
    await using scene = await StoreScene.open(engine);
    const [ann, bob] = [await scene.user("ann"), await scene.user("bob")];
    await scene.temp(ann, "t1");
    await refuses(scene.temp(ann, "t1"), "address_taken");
    await refuses(scene.temp(bob, "t1"), "address_taken");
    await refuses(scene.temp(bob, "t1", { takeReserved: true }), "address_taken");
    await refuses(scene.user("t1"), "address_taken");
    await refuses(scene.temp(ann, "x", { address: "x@elsewhere.test" }), "domain_unknown");
    await refuses(scene.store.createUser({ address: "x@elsewhere.test", nowMs: now }), "domain_unknown");
  });

  test("a given-up name is its user's to take again, and nobody else's until the reservation is over", async () => {
    await using scene = await StoreScene.open(engine);
    const [ann, bob] = [await scene.user("ann"), await scene.user("bob")];
    const first = await scene.temp(ann, "t1");
    assert.equal(await scene.drop(ann, "t1"), true);
    assert.equal(await scene.store.findMailbox("t1@mails.test", now), null);
    await refuses(scene.temp(bob, "t1"), "address_reserved");
    await refuses(scene.user("t1"), "address_reserved");
    const second = await scene.temp(ann, "t1");
    assert.ok(second.id > first.id);
    await scene.drop(ann, "t1");
    const third = await scene.temp(bob, "t1", { nowMs: now + 30 * day });
    assert.ok(third.id > second.id);
  });

  test("a random name is reserved for ever, and only the operator's word takes it", async () => {
    await using scene = await StoreScene.open(engine);
    const [ann, bob] = [await scene.user("ann"), await scene.user("bob")];
    await scene.temp(ann, "r1", { random: true });
    await scene.drop(ann, "r1");
    await refuses(scene.temp(bob, "r1", { nowMs: now + 3650 * day }), "address_reserved");
    const mailbox = await scene.temp(bob, "r1", { takeReserved: true });
    assert.equal(mailbox.userId, bob.id);
  });

  test("an expired mailbox is gone before anybody sweeps it, and is reserved for its user", async () => {
    await using scene = await StoreScene.open(engine);
    const [ann, bob] = [await scene.user("ann"), await scene.user("bob")];
    const first = await scene.temp(ann, "t1", { expiresAtMs: now + 10 });
    const later = now + 10;
    assert.ok(await scene.store.findMailbox("t1@mails.test", later - 1));
    assert.equal(await scene.store.findMailbox("t1@mails.test", later), null);
    assert.equal(await scene.drop(ann, "t1", { nowMs: later }), false);
    await refuses(scene.temp(bob, "t1", { nowMs: later }), "address_reserved");
    const second = await scene.temp(ann, "t1", { nowMs: later });
    assert.notEqual(second.id, first.id);
  });

  test("only a mailbox that is the caller's, of the right kind and in scope is deleted; a main one never", async () => {
    await using scene = await StoreScene.open(engine);
    const [ann, bob] = [await scene.user("ann"), await scene.user("bob")];
    const temp = await scene.temp(ann, "t1");
    await scene.alias(ann, "a1");
    assert.equal(await scene.drop(bob, "t1"), false);
    assert.equal(await scene.drop(ann, "a1", { kinds: ["temp"] }), false);
    assert.equal(await scene.drop(ann, "t1", { mailboxIds: [temp.id + 100] }), false);
    assert.equal(await scene.drop(ann, "ann", { kinds: ["main", "alias", "temp"] }), false);
    assert.equal(await scene.drop(ann, "t1", { kinds: ["temp"], mailboxIds: [temp.id] }), true);
    assert.equal(await scene.drop(ann, "t1"), false);
  });

  test("mailboxes are listed live, by page, user and id", async () => {
    await using scene = await StoreScene.open(engine);
    const { store } = scene;
    const [ann, bob] = [await scene.user("ann"), await scene.user("bob")];
    const temps = [];
    for (const name of ["t1", "t2", "t3"]) temps.push((await scene.temp(ann, name)).id);
    await scene.temp(ann, "old", { expiresAtMs: now });
    await scene.drop(ann, "t2");
    const ids = async (more: object): Promise<number[]> =>
      (await store.listMailboxes({ afterId: 0, limit: 50, nowMs: now, ...more })).map(({ id }) => id);
    assert.deepEqual(await ids({}), [ann.mailboxId, bob.mailboxId, temps[0], temps[2]]);
    assert.deepEqual(await ids({ userId: ann.id }), [ann.mailboxId, temps[0], temps[2]]);
    assert.deepEqual(await ids({ userId: ann.id, afterId: ann.mailboxId, limit: 1 }), [temps[0]]);
    assert.deepEqual(await ids({ userId: bob.id, ids: [...temps, bob.mailboxId] }), [bob.mailboxId]);
    assert.deepEqual(await ids({ ids: [] }), []);
  });

  test("live temp mailboxes of a user have a limit that expired and deleted ones do not fill", async () => {
    await using scene = await StoreScene.open(engine);
    const ann = await scene.user("ann");
    await scene.alias(ann, "a1");
    await scene.temp(ann, "t1", { maxTemp: 2, expiresAtMs: now + 5 });
    await scene.temp(ann, "t2", { maxTemp: 2 });
    await refuses(scene.temp(ann, "t3", { maxTemp: 2 }), "too_many_mailboxes");
    await scene.temp(await scene.user("bob"), "t3", { maxTemp: 2 });
    await scene.temp(ann, "t4", { maxTemp: 2, nowMs: now + 5 });
    await scene.drop(ann, "t2");
    await scene.temp(ann, "t5", { maxTemp: 2, nowMs: now + 5 });
    await scene.temp(ann, "t6");
  });
}

function keyTests(engine: StoreEngine): void {
  test("a key is found by its hash until it expires or is revoked", async () => {
    await using scene = await StoreScene.open(engine);
    const { store } = scene;
    const ann = await scene.user("ann");
    const key = await store.createKey(newKey(ann, "k1", { expiresAtMs: now + 10 }));
    assert.deepEqual([key.userId, key.publicId, key.mailboxIds, key.readOnly], [ann.id, "k1", null, false]);
    assert.deepEqual(await store.findKey(hashOf("k1"), now + 9), key);
    assert.equal(await store.findKey(hashOf("k1"), now + 10), null);
    assert.equal(await store.findKey(hashOf("k2"), now), null);
    assert.equal(await store.revokeKey({ publicId: "k2", nowMs: now }), false);
    assert.equal(await store.revokeKey({ publicId: "k1", nowMs: now + 1 }), true);
    assert.equal(await store.revokeKey({ publicId: "k1", nowMs: now + 2 }), false);
    assert.equal(await store.findKey(hashOf("k1"), now), null);
    assert.deepEqual(
      (await store.listKeys({ afterId: 0, limit: 9 })).map((entry) => entry.revokedAtMs),
      [now + 1],
    );
    await refuses(store.createKey(newKey(ann, "k1")), "key_taken");
    await refuses(store.createKey(newKey(ann, "k9", { hash: hashOf("k1") })), "key_taken");
  });

  test("a key made for ingest says so, with its reach and its mailboxes, and no other key does", async () => {
    await using scene = await StoreScene.open(engine);
    const { store } = scene;
    const ann = await scene.user("ann");
    await store.createKey(newKey(ann, "k1"));
    await store.createKey(newKey(ann, "k2", { ingest: "own", mailboxIds: [ann.mailboxId] }));
    await store.createKey(newKey(ann, "k3", { ingest: "every" }));
    const found = await Promise.all(["k1", "k2", "k3"].map(async (name) => await store.findKey(hashOf(name), now)));
    const said = found.map((key) => [key?.ingest, key?.mailboxIds]);
    assert.deepEqual(said, [
      [null, null],
      ["own", [ann.mailboxId]],
      ["every", null],
    ]);
    const listed = await store.listKeys({ userId: ann.id, afterId: 0, limit: 9 });
    assert.deepEqual(
      listed.map(({ ingest }) => ingest),
      [null, "own", "every"],
    );
  });

  test("a limited key keeps to its mailboxes, gains those it makes, and loses those that are given up", async () => {
    await using scene = await StoreScene.open(engine);
    const { store } = scene;
    const [ann, bob] = [await scene.user("ann"), await scene.user("bob")];
    const alias = await scene.alias(ann, "a1");
    const key = await store.createKey(newKey(ann, "k1", { mailboxIds: [alias.id], readOnly: true }));
    const whole = await store.createKey(newKey(ann, "k2"));
    assert.deepEqual([key.mailboxIds, key.readOnly], [[alias.id], true]);
    const temp = await scene.temp(ann, "t1", { forKeyId: key.id });
    await scene.temp(ann, "t2", { forKeyId: whole.id });
    assert.deepEqual((await store.findKey(hashOf("k1"), now))?.mailboxIds, [alias.id, temp.id]);
    assert.equal((await store.findKey(hashOf("k2"), now))?.mailboxIds, null);
    await scene.drop(ann, "a1");
    await scene.drop(ann, "t1");
    assert.deepEqual((await store.findKey(hashOf("k1"), now))?.mailboxIds, []);
    await refuses(store.createKey(newKey(bob, "k3", { mailboxIds: [ann.mailboxId] })), "mailbox_scope_invalid");
    await refuses(scene.temp(bob, "t3", { forKeyId: key.id }), "not_found");
    assert.equal(await store.findMailbox("t3@mails.test", now), null);
    const listed = await store.listKeys({ userId: ann.id, afterId: key.id, limit: 9 });
    assert.deepEqual(
      listed.map(({ publicId }) => publicId),
      ["k2"],
    );
  });
}

function routeTests(engine: StoreEngine): void {
  test("an address leads to its mailbox, then to that without its tag, then to the domain's catch-all", async () => {
    await using scene = await StoreScene.open(engine);
    const { store } = scene;
    const ann = await scene.user("ann");
    await scene.alias(ann, "exact+tag");
    assert.equal(await routeText(store, "ann@mails.test"), "address ann@mails.test");
    assert.equal(await routeText(store, "ann+x@mails.test"), "tag ann@mails.test");
    assert.equal(await routeText(store, "exact+tag@mails.test"), "address exact+tag@mails.test");
    assert.equal(await routeText(store, "nobody@mails.test"), "unknown_mailbox");
    assert.equal(await routeText(store, "nobody@elsewhere.test"), "foreign_domain");
    assert.equal(await store.updateDomain({ name: "mails.test", catchAllMailboxId: ann.mailboxId }), true);
    assert.equal(await routeText(store, "nobody+x@mails.test"), "catch-all ann@mails.test");
    assert.equal(await store.updateDomain({ name: "mails.test", catchAllMailboxId: null }), true);
    assert.equal(await routeText(store, "nobody@mails.test"), "unknown_mailbox");
    assert.equal(await store.updateDomain({ name: "elsewhere.test", catchAllMailboxId: null }), false);
  });

  test("a catch-all gets nothing for an address that is still reserved for another user", async () => {
    await using scene = await StoreScene.open(engine);
    const { store } = scene;
    const [ann, bob] = [await scene.user("ann"), await scene.user("bob")];
    await scene.alias(bob, "given-up");
    await scene.drop(bob, "given-up");
    await scene.temp(bob, "expired", { expiresAtMs: now });
    await scene.alias(ann, "mine");
    await scene.drop(ann, "mine");
    await store.updateDomain({ name: "mails.test", catchAllMailboxId: ann.mailboxId });
    for (const name of ["given-up", "given-up+x", "expired", "expired+x"]) {
      assert.equal(await routeText(store, `${name}@mails.test`), "unknown_mailbox", name);
    }
    assert.equal(await routeText(store, "mine@mails.test"), "catch-all ann@mails.test");
    assert.equal(await routeText(store, "given-up@mails.test", now + 31 * day), "catch-all ann@mails.test");
  });

  test("a catch-all that is given up catches nothing any more", async () => {
    await using scene = await StoreScene.open(engine);
    const ann = await scene.user("ann");
    const alias = await scene.alias(ann, "all");
    await scene.store.updateDomain({ name: "mails.test", catchAllMailboxId: alias.id });
    await scene.drop(ann, "all");
    assert.equal(await routeText(scene.store, "nobody@mails.test"), "unknown_mailbox");
    const [domain] = await scene.store.listDomains({ afterId: 0, limit: 1 });
    assert.equal(domain?.catchAllMailboxId, null);
  });

  test("how much a user has stored is known right after a commit", async () => {
    await using scene = await StoreScene.open(engine);
    const ann = await scene.user("ann");
    assert.equal(await scene.store.usedBytes(ann.id), 0);
    for (const total of [1234, 2468]) {
      await scene.store.commit(newMail(main(ann), "x", { raw: new Uint8Array(1234) }));
      assert.equal(await scene.store.usedBytes(ann.id), total);
    }
    assert.equal(await scene.store.usedBytes(ann.id + 1), 0);
  });

  test("a route is as new as the last change, however often it was asked for before", async () => {
    await using scene = await StoreScene.open(engine);
    const ann = await scene.user("ann");
    const bob = await scene.user("bob");
    const at = (nowMs: number): Promise<string> => routeText(scene.store, "x+tag@mails.test", nowMs);
    assert.equal(await at(now), "unknown_mailbox");
    await scene.alias(ann, "x", { expiresAtMs: now + 10 });
    assert.equal(await at(now), "tag x@mails.test");
    assert.equal(await at(now + 10), "unknown_mailbox", "it has expired");
    await scene.alias(ann, "x+tag");
    assert.equal(await at(now), "address x+tag@mails.test");
    await scene.drop(ann, "x+tag");
    assert.equal(await at(now), "tag x@mails.test");
    await scene.drop(ann, "x");
    assert.equal(await at(now), "unknown_mailbox");
    await scene.alias(bob, "x", { takeReserved: true });
    assert.equal(await at(now), "tag x@mails.test");
    await scene.store.removeUser({ userId: bob.id, nowMs: now, reserveMs: 0 });
    assert.equal(await at(now), "unknown_mailbox");
  });

  test("a domain exists once and cannot go while live mailboxes are in it", async () => {
    await using scene = await StoreScene.open(engine);
    const { store } = scene;
    await refuses(store.createDomain({ name: "mails.test", allowsTemp: false, nowMs: now }), "domain_taken");
    const domain = await store.createDomain({ name: "two.test", allowsTemp: false, nowMs: now });
    assert.deepEqual(await store.listDomains({ afterId: domain.id - 1, limit: 5 }), [domain]);
    assert.deepEqual([domain.name, domain.allowsTemp, domain.catchAllMailboxId], ["two.test", false, null]);
    const ann = await scene.user("ann");
    await scene.temp(ann, "x", { address: "x@two.test", expiresAtMs: now + 5 });
    await refuses(store.removeDomain({ name: "two.test", nowMs: now }), "domain_in_use");
    assert.equal(await store.removeDomain({ name: "two.test", nowMs: now + 5 }), true);
    assert.equal(await store.removeDomain({ name: "two.test", nowMs: now + 5 }), false);
  });
}

function changeTests(engine: StoreEngine): void {
  test("whoever asks after a revision learns whose keys or mailboxes changed since, in another process too", async () => {
    await using scene = await StoreScene.open(engine);
    await using other = await scene.another();
    const [ann, bob] = [await scene.user("ann"), await scene.user("bob")];
    const start = await other.store.changedUsers(0);
    assert.deepEqual(start.userIds, [ann.id, bob.id]);
    assert.deepEqual(await other.store.changedUsers(start.revision), { revision: start.revision, userIds: [] });
    assert.deepEqual((await other.store.changedUsers(Number.MAX_SAFE_INTEGER)).revision, start.revision);
    let { revision } = start;
    const changed = async (): Promise<number[]> => {
      const answer = await other.store.changedUsers(revision);
      revision = answer.revision;
      return answer.userIds;
    };
    await scene.deliver(main(ann), "mail is no change");
    assert.deepEqual(await changed(), []);
    await scene.temp(bob, "t1", { expiresAtMs: now + 5 });
    assert.deepEqual(await changed(), [bob.id]);
    await scene.store.createKey(newKey(ann, "k1"));
    assert.deepEqual(await changed(), [ann.id]);
    await scene.store.revokeKey({ publicId: "k1", nowMs: now });
    assert.deepEqual(await changed(), [ann.id]);
    await scene.store.expireMailboxes({ nowMs: now + 5, reserveMs: day, limit: 10 });
    assert.deepEqual(await changed(), [bob.id]);
    await scene.store.removeUser({ userId: ann.id, nowMs: now, reserveMs: 0 });
    await scene.purgeAll();
    assert.deepEqual(await changed(), [ann.id]);
  });

  test("a route follows a change by this process at once, by another soon", { timeout: 10_000 }, async () => {
    await using scene = await StoreScene.open(engine);
    await using other = await scene.another();
    const ann = await scene.user("ann");
    const route = (): Promise<string> => routeText(scene.store, "x@mails.test");
    for (let round = 0; round < 3; round++) {
      await scene.alias(ann, "x");
      assert.equal(await route(), "address x@mails.test");
      await scene.drop(ann, "x");
      assert.equal(await route(), "unknown_mailbox");
      await other.alias(ann, "x");
      await until("it is there", async () => (await route()) === "address x@mails.test");
      await other.drop(ann, "x");
      await until("it is gone", async () => (await route()) === "unknown_mailbox");
    }
  });

  test("a change by another process is noticed", { timeout: 10_000 }, async () => {
    await using scene = await StoreScene.open(engine);
    await using other = await scene.another();
    const ann = await scene.user("ann");
    const noticed = Promise.withResolvers<void>();
    using _ = scene.store.onForeignChange(noticed.resolve);
    await other.deliver(main(ann), "from elsewhere");
    await noticed.promise;
  });
}
