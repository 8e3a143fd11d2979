import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { callApi } from "./support/api-client.ts";
import { domain, House, tempDomain, type Person } from "./support/house.ts";
import { newMailbox } from "./support/new-mailbox.ts";
import { openSocket, SocketClient } from "./support/socket-client.ts";

describe("nobody sees a mail that is not theirs, nor whether it is there", () => {
  let house: House;
  let anna: Person;
  let bert: Person;
  let bertTemp: string;
  before(async () => {
    house = await House.open();
    anna = await house.addPerson("anna");
    bert = await house.addPerson("bert");
    const made = await callApi(house.origin, { action: "create_temp_mailbox" }, { method: "POST", key: bert.key });
    bertTemp = (made.body as { mail: string }).mail;
    await house.put(bert, { subject: "Bert's own" });
  });
  after(() => house[Symbol.asyncDispose]());

  /** Everything of an answer that a client could compare. */
  async function whole(query: Record<string, string>, init: RequestInit & { key?: string } = {}): Promise<unknown> {
    const { status, body, headers } = await callApi(house.origin, query, init);
    return { status, body, headers: [...headers].filter(([name]) => name !== "date") };
  }

  const foreign = (): string[] => [bert.address, bertTemp, bert.address.replace("@", "+tag@")];

  for (const [what, query, method] of [
    ["getmails by GET", { type: "getmails" }, "GET"],
    ["getmails by POST", {}, "POST"],
    ["getmails with since, before and wait", { since: "0", before: "9", wait: "1" }, "POST"],
    ["delete_temp_mailbox", { action: "delete_temp_mailbox" }, "POST"],
  ] as const) {
    test(`${what}: absent and foreign answer alike, down to the headers`, async () => {
      const absent = await whole({ ...query, mail: `absent@${domain}` }, { method, key: anna.key });
      for (const mail of foreign()) {
        assert.deepEqual(await whole({ ...query, mail }, { method, key: anna.key }), absent, mail);
        const both = { ...query, mail: `${anna.address},${mail}` };
        if (!("action" in query)) assert.deepEqual(await whole(both, { method, key: anna.key }), absent, mail);
      }
    });
  }

  test("a foreign mailbox is not deleted by the attempt", async () => {
    await callApi(house.origin, { action: "delete_temp_mailbox", mail: bertTemp }, { method: "POST", key: anna.key });
    assert.notEqual(await house.store.findMailbox(bertTemp, Date.now()), null);
  });

  test("mailboxes lists one's own", async () => {
    const { body } = await callApi(house.origin, { action: "mailboxes", key: anna.key });
    assert.deepEqual(body, { success: true, address: anna.address });
  });

  test("WebSocket: absent and foreign close alike, without a frame", async () => {
    for (const mail of [`absent@${domain}`, ...foreign()]) {
      using socket = new SocketClient(house.origin, { key: anna.key, mail, since: "0" });
      assert.deepEqual(await socket.closed, { code: 4403, reason: "Mailbox scope is invalid" });
      assert.deepEqual(socket.waiting, []);
    }
  });

  test("a socket is pushed its own user's mail only, replay included", async () => {
    using ofAnna = await openSocket(house.origin, { key: anna.key, since: "0" });
    using ofBert = await openSocket(house.origin, { key: bert.key, since: "0" });
    assert.equal((await ofBert.next()).subject, "Bert's own");
    await house.put(bert, { subject: "for Bert" });
    await house.put(anna, { subject: "for Anna" });
    assert.equal((await ofBert.next()).subject, "for Bert");
    assert.equal((await ofAnna.next()).subject, "for Anna");
    assert.deepEqual([ofAnna.waiting, ofBert.waiting], [[], []]);
  });

  test("one mail to two users is two mails, and neither sees the other's id or address", async () => {
    using ofAnna = await openSocket(house.origin, { key: anna.key });
    using ofBert = await openSocket(house.origin, { key: bert.key });
    for (let i = 0; i < 3; i++) await house.put(bert);
    await house.put(anna, { subject: "hers" });
    const pushed = await ofAnna.next();
    assert.deepEqual([pushed.to, pushed.id], [anna.address, 2]);
    for (let i = 0; i < 3; i++) assert.equal((await ofBert.next()).to, bert.address);
  });

  test("an address that was given up and is taken by another shows nothing of before", async () => {
    const name = "moving";
    const mail = `${name}@${tempDomain}`;
    const post = (key: string): RequestInit & { key: string } => ({ method: "POST", key });
    await callApi(house.origin, { action: "create_temp_mailbox", name }, post(anna.key));
    const mailbox = await house.store.findMailbox(mail, Date.now());
    assert.ok(mailbox);
    await house.put(mailbox, { subject: "Anna's secret" });
    using watching = await openSocket(house.origin, { key: anna.key, mail });
    await callApi(house.origin, { action: "delete_temp_mailbox", mail }, post(anna.key));
    assert.deepEqual(await watching.closed, { code: 4403, reason: "Mailbox scope is invalid" });
    const taken = newMailbox({ userId: bert.userId, address: mail, kind: "temp", takeReserved: true });
    const next = await house.store.createMailbox(taken);
    const empty = await callApi(house.origin, { mail, key: bert.key });
    assert.deepEqual(empty.body, { success: true, count: 0, data: [] });
    using replay = await openSocket(house.origin, { key: bert.key, mail, since: "0" });
    await house.put(next, { subject: "Bert's first" });
    assert.equal((await replay.next()).subject, "Bert's first");
    const absent = await whole({ mail: `absent@${tempDomain}` }, { key: anna.key });
    assert.deepEqual(await whole({ mail }, { key: anna.key }), absent);
    const all = await callApi(house.origin, { mail: anna.address, key: anna.key });
    assert.equal(JSON.stringify(all.body).includes("Bert"), false);
  });
});
