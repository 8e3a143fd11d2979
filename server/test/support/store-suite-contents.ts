import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { maxUnparsedBytes, type ListedMail, type User } from "../../src/store/store.ts";
import { box, inBox, main, newMail, now, StoreScene, type StoreEngine } from "./store-place.ts";

/** The part of the contract about mails whose content nobody has read yet. */
export function contentTests(engine: StoreEngine): void {
  describe("a mail that is committed without its content", () => {
    untilReadTests(engine);
    recordTests(engine);
    placeTests(engine);
  });
}

const html = new TextEncoder().encode(`Content-Type: text/html\r\n\r\n<p>${"Hello ".repeat(3_000)}</p>\r\n`);
const unread = { content: null, defects: ["malformed_header"] };

/** A mail as every list, its details and its raw bytes show it. */
async function views(scene: StoreScene, user: User, id: number) {
  const page = { afterId: id - 1, beforeId: id + 1 };
  const all = { mailboxId: user.mailboxId, mailTo: null };
  const filters = [null, [all], [all, { ...all, mailTo: "ann+x@mails.test" }]];
  const lists: ListedMail[][] = [];
  for (const order of ["oldest", "newest"] as const) {
    for (const filter of filters) lists.push(await scene.list(user, { ...page, order, filters: filter }));
  }
  const key = { userId: user.id, id, mailboxIds: null, nowMs: now };
  return { listed: lists.flat(), details: await scene.store.describeMail(key), read: await scene.store.readMail(key) };
}

function untilReadTests(engine: StoreEngine): void {
  test("comes with its raw bytes however it is asked for and however often, until its content is recorded", async () => {
    await using scene = await StoreScene.open(engine);
    const ann = await scene.user("ann");
    const id = await scene.deliver(main(ann), "unread", { raw: html.slice(), ...unread });
    for (let round = 0; round < 4; round++) {
      const { listed, details, read } = await views(scene, ann, id);
      assert.equal(listed.length, 6);
      for (const mail of [...listed, details, read]) {
        assert.ok(mail !== null && mail.content === null);
        assert.equal(mail.subject, "unread");
        assert.equal(Buffer.compare(mail.raw, html), 0);
      }
      assert.deepEqual([details?.defects, read?.defects], [unread.defects, unread.defects]);
    }
    await scene.store.recordContents([{ userId: ann.id, id, content: "Hello", defects: ["html_too_long"] }]);
    for (let round = 0; round < 4; round++) {
      const { listed, details, read } = await views(scene, ann, id);
      assert.equal(listed.length, 6);
      for (const mail of [...listed, details]) {
        assert.equal(mail?.content, "Hello");
        assert.ok(mail !== null && !("raw" in mail));
      }
      assert.equal(read?.content, "Hello");
      assert.equal(Buffer.compare(read.raw, html), 0);
      assert.deepEqual([details?.defects, read.defects], [["html_too_long"], ["html_too_long"]]);
    }
  });

  test("counts with its bytes for the length of a page", async () => {
    await using scene = await StoreScene.open(engine);
    const ann = await scene.user("ann");
    for (let n = 0; n < 5; n++) await scene.deliver(main(ann), "unread", { raw: html.slice(), ...unread });
    assert.equal((await scene.list(ann, { maxChars: html.length + 100 })).length, 2);
    assert.equal((await scene.list(ann, { maxChars: 1 })).length, 1);
  });

  test("is refused when it is larger than anybody may have to read, and stored with its content", async () => {
    await using scene = await StoreScene.open(engine);
    const ann = await scene.user("ann");
    const raw = (bytes: number) => new Uint8Array(bytes).fill(120);
    await assert.rejects(
      scene.store.commit(newMail(main(ann), "large", { raw: raw(maxUnparsedBytes + 1), content: null })),
      TypeError,
    );
    await scene.deliver(main(ann), "largest", { raw: raw(maxUnparsedBytes), content: null });
    await scene.deliver(main(ann), "large", { raw: raw(maxUnparsedBytes + 1) });
    assert.deepEqual(await scene.subjects(ann), ["large", "largest"]);
  });
}

function recordTests(engine: StoreEngine): void {
  test("keeps the content that is recorded first, for all its recipients and every process", async () => {
    await using scene = await StoreScene.open(engine);
    await using other = await scene.another();
    const [ann, bob] = [await scene.user("ann"), await scene.user("bob")];
    await scene.deliver(main(bob), "another");
    const { delivered } = await scene.store.commit(
      newMail([main(ann), main(bob)], "both", { raw: html.slice(), ...unread }),
    );
    assert.deepEqual(
      delivered.map(({ id }) => id),
      [1, 2],
    );
    await scene.store.recordContents([{ userId: bob.id, id: 2, content: "first", defects: [] }]);
    await scene.store.recordContents([{ userId: ann.id, id: 1, content: "second", defects: [] }]);
    for (const { store } of [scene, other]) {
      const key = { userId: ann.id, id: 1, mailboxIds: null, nowMs: now };
      assert.equal((await store.describeMail(key))?.content, "first");
    }
  });

  test("never takes the content of somebody else's mail, of a mail that has one, or of a mail that is gone", async () => {
    await using scene = await StoreScene.open(engine);
    const [ann, bob] = [await scene.user("ann"), await scene.user("bob")];
    const alias = await scene.alias(ann, "a1");
    await scene.deliver(main(ann), "unread", { raw: html.slice(), ...unread });
    await scene.deliver(main(ann), "read");
    await scene.deliver(box(alias), "gone", { raw: html.slice(), ...unread });
    await scene.drop(ann, "a1");
    await scene.purgeAll();
    const content = (userId: number, id: number) => ({ userId, id, content: "stolen", defects: [] });
    await scene.store.recordContents([content(bob.id, 1), content(ann.id, 2), content(ann.id, 3), content(ann.id, 9)]);
    await scene.store.recordContents([]);
    const shown = (await scene.list(ann, { order: "oldest", filters: [inBox(alias), ...[ann].map(mainFilter)] })).map(
      (mail) => [mail.subject, mail.content],
    );
    assert.deepEqual(shown, [
      ["unread", null],
      ["read", "Hello"],
    ]);
  });
}

function mainFilter({ mailboxId }: User): { mailboxId: number; mailTo: null } {
  return { mailboxId, mailTo: null };
}

function placeTests(engine: StoreEngine): void {
  test("is shown with its content at once where that stands in its raw, or with all of raw", async () => {
    await using scene = await StoreScene.open(engine);
    const ann = await scene.user("ann");
    const text = "Grüße 😀\r\n\r\rYour code is 1234.";
    for (const before of [0, 500, 9_000, 60_000]) {
      for (const repeats of [0, 1, 80, 1_000]) {
        const [head, body] = [Buffer.from("x".repeat(before)), Buffer.from(text.repeat(repeats))];
        const raw = new Uint8Array(Buffer.concat([head, body, Buffer.from("\r\n \r\n")]));
        const contentAt = { start: head.length, end: head.length + body.length };
        const id = await scene.deliver(main(ann), "placed", { raw: raw.slice(), content: null, contentAt });
        const { listed, details, read } = await views(scene, ann, id);
        assert.equal(listed.length, 6);
        for (const mail of [...listed, details, read]) {
          assert.ok(mail !== null);
          if (mail.content === null) assert.equal(Buffer.compare(mail.raw, raw), 0);
          else assert.equal(mail.content, text.repeat(repeats).replaceAll(/\r\n?/g, "\n"));
        }
      }
    }
  });
}
