import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { callApi, listMails } from "./support/api-client.ts";
import { domain, House, tempDomain, type Person } from "./support/house.ts";
import { openSocket } from "./support/socket-client.ts";

describe("a key may do what it was made for, and no more", () => {
  let house: House;
  let demo: Person;
  let hello: { userId: number; mailboxId: number; address: string };
  before(async () => {
    house = await House.open();
    demo = await house.addPerson("demo");
    const alias = await house.addAlias(demo, `hello@${domain}`);
    hello = { userId: demo.userId, mailboxId: alias.id, address: alias.address };
    await house.put(demo, { subject: "for demo" });
    await house.put(hello, { subject: "for hello" });
  });
  after(() => house[Symbol.asyncDispose]());

  test("a limited key sees its mailboxes and no others", async () => {
    const { key } = await house.addKey(demo, { mailboxIds: [hello.mailboxId] });
    const boxes = await callApi(house.origin, { action: "mailboxes" }, { method: "POST", key });
    assert.deepEqual(boxes.body, { success: true, address: hello.address });
    assert.equal((await listMails(house.origin, { mail: hello.address, key })).data[0]?.subject, "for hello");
    const refused = await callApi(house.origin, { mail: demo.address, key });
    assert.equal(refused.status, 403);
  });

  test("a limited key gains the temp mailbox that it makes, on an open socket as well", async () => {
    const { key } = await house.addKey(demo, { mailboxIds: [hello.mailboxId] });
    const bystander = await house.addKey(demo, { mailboxIds: [hello.mailboxId] });
    using socket = await openSocket(house.origin, { key });
    const made = await callApi(house.origin, { action: "create_temp_mailbox" }, { method: "POST", key });
    const { mail } = made.body as { mail: string };
    const mailbox = await house.store.findMailbox(mail, Date.now());
    assert.ok(mailbox);
    await house.put(demo, { subject: "not in scope" });
    await house.put(mailbox, { subject: "in scope" });
    assert.equal((await socket.next()).subject, "in scope");
    assert.equal((await listMails(house.origin, { mail, key })).count, 1);
    const boxes = await callApi(house.origin, { action: "mailboxes", key });
    assert.deepEqual(boxes.body, { success: true, address: `${hello.address},${mail}` });
    assert.equal((await callApi(house.origin, { mail, key: bystander.key })).status, 403);
    const remove = { method: "POST", key: bystander.key };
    const refused = await callApi(house.origin, { action: "delete_temp_mailbox", mail }, remove);
    assert.equal((refused.body as { code: string }).code, "mailbox_scope_invalid");
  });

  test("a key for reading only reads, and changes nothing", async () => {
    const { key } = await house.addKey(demo, { readOnly: true });
    assert.ok((await listMails(house.origin, { mail: demo.address, key })).count > 0);
    using socket = await openSocket(house.origin, { key });
    await house.put(demo, { subject: "pushed" });
    assert.equal((await socket.next()).subject, "pushed");
    const made = await callApi(house.origin, { action: "create_temp_mailbox", name: "never" }, { method: "POST", key });
    assert.equal((made.body as { code: string }).code, "read_only_key");
    assert.equal(await house.store.findMailbox(`never@${tempDomain}`, Date.now()), null);
  });

  test("expired and revoked keys are answered like keys that never were", async () => {
    const expired = await house.addKey(demo, { expiresAtMs: Date.now() - 1 });
    const revoked = await house.addKey(demo);
    await house.revoke(revoked.key);
    for (const key of [expired.key, revoked.key]) {
      for (const answer of [
        await callApi(house.origin, { mail: demo.address, key }),
        await callApi(house.origin, { mail: demo.address, key: `mk_${"1".repeat(57)}` }),
      ]) {
        assert.deepEqual(
          [answer.status, answer.body],
          [401, { success: false, error: "Invalid key", code: "invalid_key" }],
        );
      }
    }
  });

  test("a revoked key closes its open sockets within a second, and no others", async () => {
    const { key } = await house.addKey(demo);
    using closing = await openSocket(house.origin, { key });
    using staying = await openSocket(house.origin, { key: demo.key });
    const startedMs = performance.now();
    await house.revoke(key);
    assert.deepEqual(await closing.closed, { code: 4401, reason: "Invalid key" });
    assert.ok(performance.now() - startedMs < 1000);
    await house.put(demo, { subject: "still here" });
    assert.equal((await staying.next()).subject, "still here");
  });

  test("a key that expires closes its open sockets", async () => {
    const { key } = await house.addKey(demo, { expiresAtMs: Date.now() + 300 });
    using socket = await openSocket(house.origin, { key });
    assert.deepEqual(await socket.closed, { code: 4401, reason: "Invalid key" });
  });

  test("no key shows in a log line or a metric, whichever way it was sent and whatever came of it", async () => {
    const secret = demo.key.slice(3);
    const wrong = `mk_${"Q".repeat(57)}`;
    for (const key of [demo.key, wrong, `${demo.key}x`]) {
      await callApi(house.origin, { mail: demo.address, key });
      await callApi(house.origin, { mail: demo.address, key, limit: "many" });
      await callApi(house.origin, { mail: demo.address }, { key, method: "PUT" });
      await callApi(house.origin, "", {
        method: "POST",
        body: `{"key":"${key}"`,
        headers: { "content-type": "application/json" },
      });
      await (await fetch(`${house.origin}/nowhere/${key}?key=${key}`)).body?.cancel();
      await (await fetch(`${house.origin}/%zz/${key}?key=${key}`)).body?.cancel();
    }
    using socket = await openSocket(house.origin, { key: wrong });
    await socket.closed;
    const written = [...house.lines, await house.metrics.text()].join("\n");
    assert.ok(house.lines.length > 20);
    assert.equal(written.includes(secret), false);
    assert.equal(written.includes("QQQQ"), false);
  });
});
