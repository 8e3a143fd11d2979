import assert from "node:assert/strict";
import { test } from "node:test";
import { AccessControl, scopeFilters, type Access } from "../src/mail/access.ts";
import type { EndReason, FollowerSink, MailRecord } from "../src/mail/follower.ts";
import type { Store } from "../src/store/store.ts";
import { House, type Person } from "./support/house.ts";

/** A sink that keeps what it gets, and has room for so many mails. */
class Basket implements FollowerSink {
  readonly ids: number[] = [];
  readonly ended: Promise<EndReason>;
  #room: number;
  readonly #end: (reason: EndReason) => void;
  #filled: (() => void) | null = null;

  constructor(room = Number.POSITIVE_INFINITY) {
    this.#room = room;
    const { promise, resolve } = Promise.withResolvers<EndReason>();
    this.ended = promise;
    this.#end = resolve;
  }

  write(mail: MailRecord): boolean {
    this.ids.push(mail.id);
    this.#room--;
    this.#filled?.();
    return this.#room > 0;
  }

  end(reason: EndReason): void {
    this.#end(reason);
  }

  async holds(count: number): Promise<void> {
    while (this.ids.length < count) {
      await new Promise<void>((resolve) => {
        this.#filled = resolve;
      });
    }
  }

  empty(room: number): void {
    this.#room = room;
  }
}

async function accessOf(house: House, person: Person): Promise<Access> {
  const access = await new AccessControl(house.store).authenticate(person.key);
  assert.ok(access !== null);
  return access;
}

function everything(access: Access): { access: Access; addresses: null; filters: ReturnType<typeof scopeFilters> } {
  return { access, addresses: null, filters: scopeFilters(access) };
}

test("a follower that was full goes on from the store without a gap", async () => {
  await using house = await House.open();
  const ann = await house.addPerson("ann");
  const basket = new Basket(2);
  const follower = await house.feed.follow({ ...everything(await accessOf(house, ann)), sink: basket });
  for (let n = 0; n < 10; n++) await house.put(ann);
  assert.deepEqual(basket.ids, [1, 2], "a full sink is left alone");
  basket.empty(100);
  follower.resume();
  await basket.holds(10);
  await house.put(ann);
  await basket.holds(11);
  assert.deepEqual(basket.ids, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
});

test("a since beyond the last id, as after a restore, does not hide new mail", async () => {
  await using house = await House.open();
  const ann = await house.addPerson("ann");
  await house.put(ann);
  const basket = new Basket();
  await house.feed.follow({ ...everything(await accessOf(house, ann)), since: 1000, sink: basket });
  await house.put(ann);
  await basket.holds(1);
  assert.deepEqual(basket.ids, [2]);
});

test("a key that is revoked just before its follower begins ends it all the same", async () => {
  await using house = await House.open();
  const ann = await house.addPerson("ann");
  const access = await accessOf(house, ann);
  const early = new Basket();
  await house.feed.follow({ ...everything(access), sink: early });
  await house.store.revokeKey({ publicId: access.publicId, nowMs: Date.now() });
  assert.equal(await early.ended, "invalid_key");
  // The feed has looked at this change already and will not look again.
  const late = new Basket();
  await house.feed.follow({ ...everything(access), sink: late });
  assert.equal(await late.ended, "invalid_key");
});

test("the places of followers that ended are free again", async () => {
  await using house = await House.open({ maxFollowersPerUser: 1 });
  const ann = await house.addPerson("ann");
  const access = await accessOf(house, ann);
  const first = await house.feed.follow({ ...everything(access), sink: new Basket() });
  await assert.rejects(house.feed.follow({ ...everything(access), sink: new Basket() }), /Too many open waits/);
  first.close();
  first.close();
  const second = await house.feed.follow({ ...everything(access), sink: new Basket() });
  second.close();
});

test("a follower whose sink breaks is ended, and neither the mail nor another follower suffers", async () => {
  await using house = await House.open();
  const ann = await house.addPerson("ann");
  const access = await accessOf(house, ann);
  const broken = new Basket();
  broken.write = () => {
    throw new Error("broken");
  };
  const whole = new Basket();
  await house.feed.follow({ ...everything(access), sink: broken });
  await house.feed.follow({ ...everything(access), sink: whole });
  assert.equal(await house.put(ann), 1);
  assert.equal(await broken.ended, "internal");
  await whole.holds(1);
  assert.ok(house.lines.some((line) => line.includes("could not take a mail")));
});

test("a feed that stops says so to its followers and takes no more", async () => {
  await using house = await House.open();
  const ann = await house.addPerson("ann");
  const access = await accessOf(house, ann);
  const basket = new Basket();
  await house.feed.follow({ ...everything(access), sink: basket });
  await house.feed[Symbol.asyncDispose]();
  assert.equal(await basket.ended, "shutdown");
  await assert.rejects(house.feed.follow({ ...everything(access), sink: new Basket() }), /Service is not available/);
});

test("a hundred changes at once are one look at each follower, not a hundred", async () => {
  let looks = 0;
  const counting = (store: Store): Store =>
    new Proxy(store, {
      get(target, name) {
        if (name === "findKey") looks++;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? (value as () => unknown).bind(target) : value;
      },
    });
  await using house = await House.open({ wrapStore: counting });
  const ann = await house.addPerson("ann");
  const access = await accessOf(house, ann);
  for (let count = 0; count < 20; count++) await house.feed.follow({ ...everything(access), sink: new Basket() });
  looks = 0;
  await Promise.all(Array.from({ length: 100 }, () => house.feed.refresh(ann.userId)));
  assert.ok(looks >= 20 && looks < 200, `${looks} looks at 20 followers`);
});
