import assert from "node:assert/strict";
import { test } from "node:test";
import { isRefusal } from "../src/errors.ts";
import { Retention, type RetentionOptions } from "../src/mail/retention.ts";
import { House, tempDomain, type Person } from "./support/house.ts";
import { newMailbox } from "./support/new-mailbox.ts";
import { silentLog } from "./support/silent-log.ts";
import { until } from "./support/until.ts";

const dayMs = 86_400_000;

/** Runs retention with these limits for as long as some work takes. */
async function retaining(house: House, limits: Partial<RetentionOptions>, work: () => Promise<void>): Promise<void> {
  const { store, metrics } = house;
  const off = { maxAgeMs: 0, maxCount: 0, nameReservedMs: 30 * dayMs };
  const retention = new Retention({ store, log: silentLog(), metrics, ...off, ...limits });
  try {
    await work();
  } finally {
    await retention[Symbol.asyncDispose]();
  }
}

async function idsOf(house: House, person: Person): Promise<number[]> {
  const mails = await house.store.listMails({
    userId: person.userId,
    filters: null,
    order: "oldest",
    limit: 1000,
    maxChars: 1e9,
    nowMs: Date.now(),
  });
  return mails.map((mail) => mail.id);
}

async function usageOf(house: House, person: Person): Promise<{ mailCount: number; usedBytes: number }> {
  const user = await house.store.findUser(person.address);
  return { mailCount: user?.mailCount ?? -1, usedBytes: user?.usedBytes ?? -1 };
}

test("mails past their age go, of every user, and the others stay", async () => {
  await using house = await House.open();
  const people = [await house.addPerson("ann"), await house.addPerson("bob")];
  for (const person of people) {
    for (let n = 0; n < 250; n++) await house.put(person, { receivedAtMs: Date.now() - 31 * dayMs });
    await house.put(person, { receivedAtMs: Date.now() - 29 * dayMs });
    await house.put(person);
  }
  await retaining(house, { maxAgeMs: 30 * dayMs }, async () => {
    for (const person of people) {
      await until("the old mails are gone", async () => (await usageOf(house, person)).mailCount === 2);
    }
  });
  for (const person of people) {
    assert.deepEqual(await idsOf(house, person), [251, 252]);
    assert.equal((await usageOf(house, person)).usedBytes, 4);
  }
});

test("mails beyond the count go, the oldest first, and ids are not given out again", async () => {
  await using house = await House.open();
  const ann = await house.addPerson("ann");
  for (let n = 0; n < 12; n++) await house.put(ann);
  await retaining(house, { maxCount: 5 }, () =>
    until("the oldest mails are gone", async () => (await usageOf(house, ann)).mailCount === 5),
  );
  assert.deepEqual(await idsOf(house, ann), [8, 9, 10, 11, 12]);
  assert.equal(await house.put(ann), 13);
});

test("with both rules off nothing is deleted", async () => {
  await using house = await House.open();
  const ann = await house.addPerson("ann");
  await house.put(ann, { receivedAtMs: 1 });
  // A temp mailbox that expires shows that a whole round has passed.
  await makeTemp(house, ann, `round@${tempDomain}`, Date.now() - 1);
  await retaining(house, {}, () =>
    until("a round has passed", async () => (await reservedFor(house, `round@${tempDomain}`)) === "reserved"),
  );
  assert.deepEqual(await idsOf(house, ann), [1]);
});

test("an expired temp mailbox is gone at once, its mails within seconds, and its name stays reserved", async () => {
  await using house = await House.open();
  const ann = await house.addPerson("ann");
  const address = `gone@${tempDomain}`;
  const expiresAtMs = Date.now() + 1000;
  const mailbox = await makeTemp(house, ann, address, expiresAtMs);
  await house.put(mailbox, { receivedAtMs: expiresAtMs - 1 });
  await house.put(ann);
  assert.notEqual(await house.store.findMailbox(address, expiresAtMs - 1), null);
  assert.equal(await house.store.findMailbox(address, expiresAtMs), null, "gone at the very millisecond");
  await retaining(house, {}, () =>
    until("its mails are gone", async () => (await usageOf(house, ann)).mailCount === 1),
  );
  assert.ok(Date.now() < expiresAtMs + 10_000);
  assert.deepEqual(await idsOf(house, ann), [2]);
  assert.equal(await reservedFor(house, address), "reserved");
});

function makeTemp(house: House, person: Pick<Person, "userId">, address: string, expiresAtMs: number) {
  const { userId } = person;
  return house.store.createMailbox(newMailbox({ userId, address, kind: "temp", nowMs: expiresAtMs - 1, expiresAtMs }));
}

/** Whether somebody else could take an address now. */
async function reservedFor(house: House, address: string): Promise<"reserved" | "taken" | "free"> {
  const known = await house.store.findUser("zoe@mails.test");
  const zoe = known === null ? await house.addPerson("zoe") : { userId: known.id };
  try {
    await makeTemp(house, zoe, address, Date.now() + 1000);
    return "free";
  } catch (error) {
    if (isRefusal(error, "address_reserved")) return "reserved";
    assert.ok(isRefusal(error, "address_taken"), String(error));
    return "taken";
  }
}
