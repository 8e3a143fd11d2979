import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Mailbox, MailDetails, Store, User } from "../../src/store/store.ts";
import { box, day, inBox, main, now, StoreScene, type StoreEngine } from "./store-place.ts";

const origin = { ip: "192.0.2.1", helo: "mx.example.org", transmission: "ESMTP" as const };

function describeMail(store: Store, user: User, id: number, more: { mailboxIds?: number[]; nowMs?: number } = {}) {
  return store.describeMail({ userId: user.id, id, mailboxIds: more.mailboxIds ?? null, nowMs: more.nowMs ?? now });
}

function record(user: User, id: number, dmarc: string, more: { marked?: boolean; findings?: string } = {}) {
  return { userId: user.id, id, dmarc, marked: more.marked ?? false, findings: more.findings ?? "{}" };
}

/** Where mails came from, what was found out about it, and the operator's lists. */
export function senderTests(engine: StoreEngine): void {
  describe("a mail's details", () => detailTests(engine));
  describe("results about senders", () => resultTests(engine));
  describe("lists of senders", () => ruleTests(engine));
}

function detailTests(engine: StoreEngine): void {
  test("say where it came from, and that nothing is known when nothing is", async () => {
    await using scene = await StoreScene.open(engine);
    const ann = await scene.user("ann");
    const local = await scene.deliver(main(ann), "local");
    const remote = await scene.deliver(main(ann, "ann+x@mails.test"), "remote", { origin, defects: ["too_deep"] });
    const expected: MailDetails = {
      id: remote,
      mailboxId: ann.mailboxId,
      mailFrom: "sender@example.org",
      mailTo: "ann+x@mails.test",
      subject: "remote",
      content: "Hello",
      receivedAtMs: now,
      envelopeFrom: "bounce@example.org",
      defects: ["too_deep"],
      sizeBytes: Buffer.byteLength("Subject: remote\r\n\r\nHello\r\n"),
      origin,
      sender: null,
    };
    assert.deepEqual(await describeMail(scene.store, ann, remote), expected);
    assert.equal((await describeMail(scene.store, ann, local))?.origin, null);
  });

  test("are shown to the owner within scope only, and only while the mailbox lives", async () => {
    await using scene = await StoreScene.open(engine);
    const [ann, bob] = [await scene.user("ann"), await scene.user("bob")];
    const temp = await scene.temp(ann, "t1", { expiresAtMs: now + 5 });
    const id = await scene.deliver(box(temp), "hers");
    const sees = async (...args: [User, number, { mailboxIds?: number[]; nowMs?: number }?]): Promise<boolean> =>
      (await describeMail(scene.store, ...args)) !== null;
    assert.equal(await sees(ann, id), true);
    assert.equal(await sees(ann, id, { mailboxIds: [temp.id] }), true);
    assert.equal(await sees(ann, id, { mailboxIds: [ann.mailboxId] }), false);
    assert.equal(await sees(ann, id, { mailboxIds: [] }), false);
    assert.equal(await sees(ann, id + 1), false);
    assert.equal(await sees(bob, id), false);
    assert.equal(await sees(ann, id, { nowMs: now + 5 }), false);
    await scene.drop(ann, "t1");
    assert.equal(await sees(ann, id), false);
  });
}

function resultTests(engine: StoreEngine): void {
  test("are kept with their mail, the last one counts, and what is gone is left out", async () => {
    await using scene = await StoreScene.open(engine);
    const [ann, bob] = [await scene.user("ann"), await scene.user("bob")];
    const id = await scene.deliver([main(ann), main(bob)], "both");
    await scene.store.recordSenders([record(ann, id, "pass"), record(ann, 99, "pass"), record(ann, 0, "pass")]);
    await scene.store.recordSenders([record(ann, id, "fail", { marked: true, findings: '{"a":1}' })]);
    assert.deepEqual((await describeMail(scene.store, ann, id))?.sender, { marked: true, findings: '{"a":1}' });
    assert.equal((await describeMail(scene.store, bob, id))?.sender, null);
    await scene.store.recordSenders([]);
  });

  test("limit a list, for every filter, order and range", async () => {
    await using scene = await StoreScene.open(engine);
    const [ann, bob] = [await scene.user("ann"), await scene.user("bob")];
    const alias = await scene.alias(ann, "a1");
    const places = [main(ann), main(ann, "ann+x@mails.test"), box(alias)];
    const words = ["pass", "fail", null];
    for (let index = 0; index < 36; index++) {
      const id = await scene.deliver(places[index % 3] ?? main(ann), `${index + 1}`);
      await scene.deliver(main(bob), "not hers");
      const dmarc = words[Math.floor(index / 3) % 3];
      if (typeof dmarc === "string") await scene.store.recordSenders([record(ann, id, dmarc), record(bob, id, dmarc)]);
    }
    const ids = async (more: Parameters<StoreScene["list"]>[1]): Promise<number[]> =>
      (await scene.list(ann, { dmarc: "fail", ...more })).map(({ id }) => id);
    const own = inBox({ id: ann.mailboxId } as Mailbox);
    const tag = inBox({ id: ann.mailboxId } as Mailbox, "ann+x@mails.test");
    assert.deepEqual(await ids({}), [33, 32, 31, 24, 23, 22, 15, 14, 13, 6, 5, 4]);
    assert.deepEqual(await ids({ filters: [own], limit: 3 }), [32, 31, 23]);
    assert.deepEqual(await ids({ filters: [tag] }), [32, 23, 14, 5]);
    assert.deepEqual(
      await ids({ filters: [inBox(alias), tag, own], afterId: 13, beforeId: 31, order: "oldest" }),
      [14, 15, 22, 23, 24],
    );
    assert.deepEqual(await ids({ dmarc: "none" }), []);
    assert.deepEqual(await ids({ filters: [] }), []);
    assert.deepEqual(await ids({ filters: [inBox({ id: bob.mailboxId } as Mailbox)] }), []);
  });

  test("go with their mails, whichever way these go", async () => {
    await using scene = await StoreScene.open(engine);
    const ann = await scene.user("ann");
    const temp = await scene.temp(ann, "t1");
    const first = await scene.deliver(main(ann), "old", { receivedAtMs: now - day });
    const second = await scene.deliver(box(temp), "in the temp mailbox");
    await scene.store.recordSenders([record(ann, first, "pass"), record(ann, second, "pass")]);
    const seen = async (): Promise<number> => (await scene.list(ann, { dmarc: "pass" })).length;
    assert.equal(await seen(), 2);
    await scene.drop(ann, "t1");
    assert.equal(await seen(), 1);
    await scene.purgeAll();
    await scene.store.trimMails({ userId: ann.id, beforeMs: now - 1, maxCount: 0, limit: 10 });
    assert.equal(await seen(), 0);
    await scene.store.recordSenders([record(ann, first, "pass"), record(ann, second, "pass")]);
    assert.equal(await seen(), 0);
  });
}

function ruleTests(engine: StoreEngine): void {
  const rule = { action: "block", kind: "domain", value: "one.example", nowMs: now } as const;

  test("hold each value once, and are told apart", async () => {
    await using scene = await StoreScene.open(engine);
    const { store } = scene;
    const added = await store.addSenderRule(rule);
    assert.deepEqual(added, { id: added.id, action: "block", kind: "domain", value: "one.example", createdAtMs: now });
    await assert.rejects(store.addSenderRule(rule), { errorName: "rule_taken" });
    const other = await store.addSenderRule({ ...rule, action: "allow" });
    assert.deepEqual(await store.listSenderRules({ afterId: 0, limit: 10 }), [added, other]);
    assert.deepEqual(await store.listSenderRules({ afterId: 0, limit: 10, action: "allow" }), [other]);
    assert.deepEqual(await store.listSenderRules({ afterId: added.id, limit: 10, action: "block" }), []);
    assert.equal(await store.removeSenderRule({ action: "block", value: "one.example" }), true);
    assert.equal(await store.removeSenderRule({ action: "block", value: "one.example" }), false);
  });

  test("are told of with the domains' policies when something changed, also by another process", async () => {
    await using scene = await StoreScene.open(engine);
    await using another = await scene.another();
    const first = await scene.store.senderPolicy(0);
    assert.deepEqual([first?.rules, first?.domains], [[], []]);
    const since = first?.revision ?? 0;
    assert.equal(await scene.store.senderPolicy(since), null);
    await another.store.addSenderRule(rule);
    await another.store.updateDomain({ name: "mails.test", dmarc: "mark" });
    await another.store.createDomain({ name: "two.test", allowsTemp: false, dmarc: "refuse", nowMs: now });
    const next = await scene.store.senderPolicy(since);
    assert.deepEqual(next?.rules, [{ action: "block", kind: "domain", value: "one.example" }]);
    assert.deepEqual(next?.domains, [
      { name: "mails.test", dmarc: "mark" },
      { name: "two.test", dmarc: "refuse" },
    ]);
    await another.store.removeDomain({ name: "two.test", nowMs: now });
    assert.equal((await scene.store.senderPolicy(next?.revision ?? 0))?.domains.length, 1);
  });

  test("a change of one thing about a domain leaves the other as it is", async () => {
    await using scene = await StoreScene.open(engine);
    const ann = await scene.user("ann");
    await scene.store.updateDomain({ name: "mails.test", catchAllMailboxId: ann.mailboxId });
    await scene.store.updateDomain({ name: "mails.test", dmarc: "refuse" });
    const [domain] = await scene.store.listDomains({ afterId: 0, limit: 1 });
    assert.deepEqual([domain?.catchAllMailboxId, domain?.dmarc], [ann.mailboxId, "refuse"]);
    await scene.store.updateDomain({ name: "mails.test", catchAllMailboxId: null });
    const [after] = await scene.store.listDomains({ afterId: 0, limit: 1 });
    assert.deepEqual([after?.catchAllMailboxId, after?.dmarc], [null, "refuse"]);
    assert.equal(await scene.store.updateDomain({ name: "absent.test", dmarc: "mark" }), false);
  });
}
