import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Mailbox, MailFilter, MailQuery, User } from "../../src/store/store.ts";
import { box, inBox, main, now, StoreScene, type StoreEngine } from "./store-place.ts";

interface Filled {
  ann: User;
  boxes: Mailbox[];
  /** Mailbox and address of each mail, by id minus one. */
  sent: { mailboxId: number; mailTo: string }[];
}

const mailCount = 200;

/** Mails of one user spread over four mailboxes and their tags, in a pattern that repeats itself late. */
async function fill(scene: StoreScene): Promise<Filled> {
  const ann = await scene.user("ann");
  const bob = await scene.user("bob");
  const boxes = [];
  for (const name of ["a1", "a2", "a3"]) boxes.push(await scene.alias(ann, name));
  const sent: Filled["sent"] = [];
  const places = [main(ann), main(ann, "ann+x@mails.test"), ...boxes.map((mailbox) => box(mailbox))];
  for (let index = 0; index < mailCount; index++) {
    // The third mailbox gets mail only among the first, so that its range ends while others go on.
    const place = places[(index * index + 3 * index) % (index < 40 ? 5 : 4)] ?? main(ann);
    sent.push({ mailboxId: place.mailboxId, mailTo: place.mailTo });
  }
  await Promise.all(
    sent.map(async (place, index) => {
      await Promise.all([
        scene.deliver({ userId: ann.id, ...place }, `${index + 1}`),
        scene.deliver(main(bob), "not hers"),
      ]);
    }),
  );
  return { ann, boxes, sent };
}

/** What a list has to answer, worked out the slow way. */
function expectedIds({ sent }: Filled, filters: readonly MailFilter[] | null, query: Partial<MailQuery>): number[] {
  const { afterId = 0, beforeId = Infinity, order = "newest", limit = 50 } = query;
  const matches = ({ mailboxId, mailTo }: Filled["sent"][number]): boolean =>
    filters === null ||
    filters.some((filter) => filter.mailboxId === mailboxId && (filter.mailTo ?? mailTo) === mailTo);
  const ids = sent.flatMap((place, index) => (matches(place) ? [index + 1] : []));
  const inRange = ids.filter((id) => id > afterId && id < beforeId);
  return (order === "newest" ? inRange.reverse() : inRange).slice(0, limit);
}

/** Pages through a user's mails, filters and limits. */
export function listTests(engine: StoreEngine): void {
  describe("a list of mails", () => {
    test("is right for every mix of filters, order, range and limit", async () => {
      await using scene = await StoreScene.open(engine);
      const filled = await fill(scene);
      const { ann, boxes } = filled;
      const [a1, a2, a3] = boxes as [Mailbox, Mailbox, Mailbox];
      const tag = { mailboxId: ann.mailboxId, mailTo: "ann+x@mails.test" };
      const whole = { mailboxId: ann.mailboxId, mailTo: null };
      const mixes: (MailFilter[] | null)[] = [
        null,
        [],
        [whole],
        [tag],
        [inBox(a3)],
        [inBox(a1), inBox(a2)],
        [inBox(a3), inBox(a1)],
        [tag, whole, inBox(a2), inBox(a2)],
        [{ mailboxId: ann.mailboxId, mailTo: "ann+y@mails.test" }],
        [whole, inBox(a1), inBox(a2), inBox(a3)],
      ];
      for (const filters of mixes) {
        for (const order of ["newest", "oldest"] as const) {
          for (const range of [
            {},
            { afterId: 33 },
            { beforeId: 150 },
            { afterId: 20, beforeId: 60 },
            { afterId: 200 },
          ]) {
            for (const limit of [1, 7, 50, 500]) {
              const query = { filters, order, limit, ...range };
              const ids = (await scene.list(ann, query)).map(({ id }) => id);
              assert.deepEqual(ids, expectedIds(filled, filters, query), JSON.stringify(query));
            }
          }
        }
      }
    });

    test("pages up and down without a gap", async () => {
      await using scene = await StoreScene.open(engine);
      const filled = await fill(scene);
      for (const filters of [null, [inBox(filled.boxes[0] as Mailbox), { ...main(filled.ann), mailTo: null }]]) {
        const up: number[] = [];
        for (;;) {
          const page = await scene.list(filled.ann, { filters, order: "oldest", limit: 9, afterId: up.at(-1) ?? 0 });
          if (page.length === 0) break;
          up.push(...page.map(({ id }) => id));
        }
        const down: number[] = [];
        for (;;) {
          const range = down.length === 0 ? {} : { beforeId: down.at(-1) ?? 0 };
          const page = await scene.list(filled.ann, { filters, limit: 9, ...range });
          if (page.length === 0) break;
          down.push(...page.map(({ id }) => id));
        }
        assert.deepEqual(up, expectedIds(filled, filters, { order: "oldest", limit: mailCount }));
        assert.deepEqual(down, up.toReversed());
      }
    });

    test("keeps catch-all addresses apart", async () => {
      await using scene = await StoreScene.open(engine);
      const ann = await scene.user("ann");
      for (const name of ["x", "y", "x"]) await scene.deliver(main(ann, `${name}@mails.test`), name);
      const filters = [{ mailboxId: ann.mailboxId, mailTo: "x@mails.test" }];
      assert.deepEqual(await scene.subjects(ann, { filters }), ["x", "x"]);
      assert.deepEqual(await scene.subjects(ann), ["x", "y", "x"]);
    });

    test("never answers for somebody else's mailbox", async () => {
      await using scene = await StoreScene.open(engine);
      const [ann, bob] = [await scene.user("ann"), await scene.user("bob")];
      await scene.deliver(main(ann), "hers");
      const filters = [{ mailboxId: ann.mailboxId, mailTo: null }];
      assert.deepEqual(await scene.subjects(bob, { filters }), []);
      assert.deepEqual(await scene.subjects(ann, { filters }), ["hers"]);
    });

    test("ends early at its characters, and always gives one mail", async () => {
      await using scene = await StoreScene.open(engine);
      const ann = await scene.user("ann");
      for (const subject of ["1", "2", "3", "4"]) await scene.deliver(main(ann), subject, { content: "x".repeat(99) });
      const filters = [{ mailboxId: ann.mailboxId, mailTo: null }];
      for (const more of [{}, { filters }]) {
        assert.deepEqual(await scene.subjects(ann, { maxChars: 1, ...more }), ["4"]);
        assert.deepEqual(await scene.subjects(ann, { maxChars: 100, ...more }), ["4"]);
        assert.deepEqual(await scene.subjects(ann, { maxChars: 101, ...more }), ["4", "3"]);
        assert.deepEqual(await scene.subjects(ann, { maxChars: 200, order: "oldest", ...more }), ["1", "2"]);
      }
    });

    test("hides mails of deleted and expired mailboxes at once, however many they are", async () => {
      await using scene = await StoreScene.open(engine);
      const ann = await scene.user("ann");
      const [gone, old] = [await scene.temp(ann, "t1"), await scene.temp(ann, "t2", { expiresAtMs: now + 5 })];
      await scene.deliver(main(ann), "first");
      await Promise.all(Array.from({ length: 2500 }, () => scene.deliver(box(gone), "gone")));
      await scene.deliver(box(old), "old");
      await scene.deliver(main(ann), "last");
      await scene.drop(ann, "t1");
      assert.deepEqual(await scene.subjects(ann), ["last", "old", "first"]);
      assert.deepEqual(await scene.subjects(ann, { nowMs: now + 5 }), ["last", "first"]);
      assert.deepEqual(await scene.subjects(ann, { order: "oldest", nowMs: now + 5 }), ["first", "last"]);
      assert.deepEqual(await scene.subjects(ann, { order: "oldest", afterId: 1, limit: 1 }), ["old"]);
      const filters = [inBox(gone), inBox(old)];
      assert.deepEqual(await scene.subjects(ann, { filters }), ["old"]);
      assert.deepEqual(await scene.subjects(ann, { filters, nowMs: now + 5 }), []);
    });
  });
}
