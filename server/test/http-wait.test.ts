import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { callApi, listMails } from "./support/api-client.ts";
import { domain, House, type Person } from "./support/house.ts";
import { followers } from "./support/metric-reader.ts";

describe("wait holds an empty answer until a mail is there", () => {
  let house: House;
  let demo: Person;
  before(async () => {
    house = await House.open();
    demo = await house.addPerson("demo");
  });
  after(() => house[Symbol.asyncDispose]());

  const newPerson = (name: string): Promise<Person> => house.addPerson(name);

  test("it answers as soon as a mail is stored, with that mail", async () => {
    const person = await newPerson("soon");
    const waiting = listMails(house.origin, { mail: person.address, key: person.key, wait: "60" });
    await followers(house, 1);
    const id = await house.put(person, { subject: "Your code" });
    const { data } = await waiting;
    assert.deepEqual(
      data.map((mail) => [mail.id, mail.subject]),
      [[id, "Your code"]],
    );
    await followers(house, 0);
  });

  test("it answers at once where there is something to answer, and where nothing can come", async () => {
    const person = await newPerson("once");
    await house.put(person);
    const { address: mail, key } = person;
    assert.equal((await listMails(house.origin, { mail, key, wait: "60" })).count, 1);
    assert.equal((await listMails(house.origin, { mail, key, wait: "60", since: "0" })).count, 1);
    assert.equal((await listMails(house.origin, { mail, key, wait: "60", before: "1" })).count, 0);
  });

  test("it answers an empty list when the time is up, fractions of a second allowed", async () => {
    const startedMs = performance.now();
    const { count } = await listMails(house.origin, { mail: demo.address, key: demo.key, wait: "0.05" });
    assert.equal(count, 0);
    assert.ok(performance.now() - startedMs >= 45);
    await followers(house, 0);
  });

  test("with since it waits for something newer", async () => {
    const person = await newPerson("newer");
    const first = await house.put(person);
    const query = { mail: person.address, key: person.key, wait: "60", since: String(first) };
    const waiting = listMails(house.origin, query);
    await followers(house, 1);
    const second = await house.put(person);
    assert.deepEqual(
      (await waiting).data.map(({ id }) => id),
      [second],
    );
  });

  test("mail for another mailbox of the same user does not end it", async () => {
    const person = await newPerson("picky");
    const alias = await house.addAlias(person, `picky-alias@${domain}`);
    const waiting = listMails(house.origin, { mail: alias.address, key: person.key, wait: "60" });
    await followers(house, 1);
    await house.put(person);
    const id = await house.put(alias);
    assert.deepEqual(
      (await waiting).data.map((mail) => mail.id),
      [id],
    );
  });

  test("many wait at the same time, for one mail and for many", async () => {
    const people = await Promise.all(["one", "two", "three"].map((name) => newPerson(name)));
    const waits = people.flatMap((person) =>
      Array.from({ length: 50 }, () => listMails(house.origin, { mail: person.address, key: person.key, wait: "60" })),
    );
    await followers(house, 150);
    for (const person of people) await house.put(person, { subject: person.address });
    const lists = await Promise.all(waits);
    assert.deepEqual(
      lists.map(({ data }) => data.map(({ subject }) => subject)),
      people.flatMap(({ address }) => Array.from({ length: 50 }, () => [address])),
    );
    await followers(house, 0);
  });

  test("a mail that comes while the request does is never missed", async () => {
    const person = await newPerson("racer");
    for (let i = 0; i < 50; i++) {
      const since = String(i);
      const [list, id] = await Promise.all([
        listMails(house.origin, { mail: person.address, key: person.key, wait: "60", since }),
        house.put(person),
      ]);
      assert.deepEqual(
        list.data.map((mail) => mail.id),
        [id],
      );
    }
  });

  test("a client that leaves ends its wait", async () => {
    const socket = connect(house.http.address.port, "127.0.0.1");
    socket.write(`GET /api?mail=${demo.address}&key=${demo.key}&wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await followers(house, 1);
    socket.destroy();
    await followers(house, 0);
  });

  test("a revoked key ends a wait with the answer that a bad key gets, within a second", async () => {
    const person = await newPerson("revoked");
    const [one, two] = [await house.addKey(person), await house.addKey(person)];
    const query = { mail: person.address, wait: "60" };
    const byParameter = callApi(house.origin, { ...query, key: one.key });
    const byHeader = callApi(house.origin, query, { key: two.key });
    await followers(house, 2);
    const startedMs = performance.now();
    await house.revoke(one.key);
    await house.revoke(two.key);
    const bodies = (await Promise.all([byParameter, byHeader])).map(({ status, body }) => [status, body]);
    assert.ok(performance.now() - startedMs < 1000);
    assert.deepEqual(bodies, [
      [401, { success: false, error: "Invalid key", code: "invalid_key" }],
      [401, { success: false, error: "Invalid API key", code: "invalid_key" }],
    ]);
  });

  test("a mailbox that is deleted ends a wait for it", async () => {
    const post = { method: "POST", key: demo.key };
    const made = await callApi(house.origin, { action: "create_temp_mailbox" }, post);
    const { mail } = made.body as { mail: string };
    const waiting = callApi(house.origin, { mail, key: demo.key, wait: "60" });
    await followers(house, 1);
    await callApi(house.origin, { action: "delete_temp_mailbox", mail }, post);
    const { status, body } = await waiting;
    assert.deepEqual(
      [status, body],
      [403, { success: false, error: "Mailbox scope is invalid", code: "mailbox_scope_invalid" }],
    );
  });

  test("a server that stops answers its waits at once", async () => {
    await using stopping = await House.open();
    const person = await stopping.addPerson("demo");
    const waiting = callApi(stopping.origin, { mail: person.address, key: person.key, wait: "60" });
    await followers(stopping, 1);
    const drained = stopping.http.drain(60_000);
    const { status, body, headers } = await waiting;
    assert.deepEqual([status, body], [503, { success: false, error: "Service is not available", code: "unavailable" }]);
    assert.equal(headers.get("connection"), "close");
    await drained;
    const refused = connect(stopping.http.address.port, "127.0.0.1");
    const [error] = (await once(refused, "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNREFUSED");
  });
});
