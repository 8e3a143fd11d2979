import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { SeedMail } from "@catmails/client";
import fc from "fast-check";
import { listMails } from "./support/api-client.ts";
import { House, type Person } from "./support/house.ts";

describe("pages hold every mail once", () => {
  let house: House;
  let names = 0;
  before(async () => {
    house = await House.open();
  });
  after(() => house[Symbol.asyncDispose]());

  const ids = (mails: readonly SeedMail[]): number[] => mails.map(({ id }) => id);
  const newPerson = (): Promise<Person> => house.addPerson(`person${++names}`);

  test("a list is newest first, 50 mails where nothing is asked for and never more than 200", async () => {
    const { address, key, ...person } = await newPerson();
    for (let i = 0; i < 205; i++) await house.put({ ...person, address });
    const list = await listMails(house.origin, { mail: address, key });
    assert.equal(list.count, 50);
    assert.deepEqual(
      ids(list.data),
      Array.from({ length: 50 }, (_, i) => 205 - i),
    );
    assert.equal((await listMails(house.origin, { mail: address, key, limit: "1000" })).count, 200);
  });

  test("since gives the oldest mails after it, still printed newest first", async () => {
    const { address, key, ...person } = await newPerson();
    for (let i = 0; i < 10; i++) await house.put({ ...person, address });
    const page = await listMails(house.origin, { mail: address, key, since: "2", limit: "3" });
    assert.deepEqual(ids(page.data), [5, 4, 3]);
    const last = await listMails(house.origin, { mail: address, key, since: "10" });
    assert.deepEqual(last, { success: true, count: 0, data: [] });
    const between = await listMails(house.origin, { mail: address, key, since: "2", before: "5" });
    assert.deepEqual(ids(between.data), [4, 3]);
  });

  test("going on with since skips nothing and repeats nothing, however mails and pages interleave", async () => {
    const steps = fc.array(
      fc.oneof(fc.record({ put: fc.integer({ min: 0, max: 2 }) }), fc.record({ read: fc.integer({ min: 1, max: 4 }) })),
      { maxLength: 40 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (plan) => {
        const person = await newPerson();
        const alias = await house.addAlias(person, `alias-${person.address}`);
        const targets = [person, alias, { ...person, address: person.address.replace("@", "+tag@") }];
        const wanted: number[] = [];
        const seen: number[] = [];
        const read = async (limit: number): Promise<number> => {
          const since = String(seen.at(-1) ?? 0);
          const query = { mail: person.address, key: person.key, since, limit: String(limit) };
          const { data } = await listMails(house.origin, query);
          seen.push(...ids(data).reverse());
          return data.length;
        };
        for (const step of plan) {
          if ("read" in step) await read(step.read);
          else {
            const id = await house.put(targets[step.put] ?? person);
            // The alias is another mailbox; the tag belongs to the one that is asked for.
            if (step.put !== 1) wanted.push(id);
          }
        }
        while ((await read(3)) > 0);
        assert.deepEqual(seen, wanted);
      }),
      { numRuns: 25 },
    );
  });

  test("before pages down to the first mail while new ones come", async () => {
    const person = await newPerson();
    for (let i = 0; i < 23; i++) await house.put(person);
    const seen: number[] = [];
    for (;;) {
      const before = seen.at(-1);
      const query = {
        mail: person.address,
        key: person.key,
        limit: "5",
        ...(before === undefined ? {} : { before: String(before) }),
      };
      const { data } = await listMails(house.origin, query);
      if (data.length === 0) break;
      seen.push(...ids(data));
      await house.put(person);
    }
    assert.deepEqual(
      seen,
      Array.from({ length: 23 }, (_, i) => 23 - i),
    );
  });

  test("several addresses are one list in order of arrival", async () => {
    const person = await newPerson();
    const aliases = await Promise.all(["a", "b"].map((name) => house.addAlias(person, `${name}-${person.address}`)));
    const targets = [person, ...aliases.map(({ id, address }) => ({ ...person, mailboxId: id, address }))];
    for (let i = 0; i < 9; i++) await house.put(targets[i % 3] ?? person);
    const all = await listMails(house.origin, { mail: targets.map(({ address }) => address).join(), key: person.key });
    assert.deepEqual(ids(all.data), [9, 8, 7, 6, 5, 4, 3, 2, 1]);
    const two = await listMails(house.origin, {
      mail: `${targets[2]?.address},${targets[0]?.address}`,
      key: person.key,
      limit: "4",
    });
    assert.deepEqual(ids(two.data), [9, 7, 6, 4]);
  });

  test("an address means all its tags, a tag only itself, and mail_to keeps the tag", async () => {
    const person = await newPerson();
    const tagged = (tag: string): string => person.address.replace("@", `+${tag}@`);
    await house.put(person);
    await house.put({ ...person, address: tagged("ci") });
    await house.put({ ...person, address: tagged("shop") });
    const { key } = person;
    const all = await listMails(house.origin, { mail: person.address, key });
    assert.deepEqual(
      all.data.map(({ mail_to }) => mail_to),
      [tagged("shop"), tagged("ci"), person.address],
    );
    const ci = await listMails(house.origin, { mail: tagged("ci"), key });
    assert.deepEqual(
      ci.data.map(({ mail_to }) => mail_to),
      [tagged("ci")],
    );
    const overlapping = await listMails(house.origin, { mail: `${tagged("ci")},${person.address}`, key });
    assert.deepEqual(ids(overlapping.data), [3, 2, 1]);
  });

  test("an address that only a catch-all takes is read by its owner, as that address only", async () => {
    const [owner, other] = [await newPerson(), await newPerson()];
    const caught = "caught.test";
    await house.store.createDomain({ name: caught, allowsTemp: false, nowMs: Date.now() });
    await house.store.updateDomain({ name: caught, catchAllMailboxId: owner.mailboxId });
    await house.put({ ...owner, address: `any@${caught}` });
    await house.put({ ...owner, address: `thing@${caught}` });
    const any = await listMails(house.origin, { mail: `any@${caught}`, key: owner.key });
    assert.deepEqual(
      any.data.map(({ mail_to }) => mail_to),
      [`any@${caught}`],
    );
    assert.equal((await listMails(house.origin, { mail: owner.address, key: owner.key })).count, 2);
    const query = new URLSearchParams({ mail: `any@${caught}`, key: other.key });
    const foreign = await fetch(`${house.origin}/api?${query.toString()}`);
    assert.equal(foreign.status, 403);
    await foreign.body?.cancel();
  });

  test("a page ends early at 8 MiB, and since goes on behind it", async () => {
    const person = await newPerson();
    const content = "x".repeat(3 * 1024 * 1024);
    for (let i = 0; i < 5; i++) await house.put(person, { content });
    const seen: number[] = [];
    const counts: number[] = [];
    for (;;) {
      const query = { mail: person.address, key: person.key, since: String(seen.at(-1) ?? 0) };
      const { data, count } = await listMails(house.origin, query);
      if (count === 0) break;
      counts.push(count);
      seen.push(...ids(data).reverse());
    }
    assert.deepEqual(seen, [1, 2, 3, 4, 5]);
    assert.deepEqual(counts, [3, 2]);
  });
});
