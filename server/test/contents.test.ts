import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Refusal } from "../src/errors.ts";
import { Contents, type ContentsOptions } from "../src/mail/contents.ts";
import { MailParser } from "../src/mime/mime.ts";
import type { MailRecord } from "../src/mail/reading.ts";
import type { Store } from "../src/store/store.ts";
import { listMails } from "./support/api-client.ts";
import { House, type Person } from "./support/house.ts";
import { openSocket } from "./support/socket-client.ts";

const rows = "<tr><td>Your order has been sent</td></tr>\r\n".repeat(400);
const text = "Your order has been sent\n".repeat(400).trimEnd();

function htmlMail(subject: string): string {
  return `From: shop@example.com\r\nSubject: ${subject}\r\nContent-Type: text/html\r\n\r\n<table>${rows}</table>\r\n`;
}

/** Takes a mail in as every door does. */
async function take(house: House, to: Person, raw: string): Promise<void> {
  const envelope = { from: "shop@example.com", sizeBytes: raw.length, origin: null };
  const recipient = { key: to.address, userId: to.userId, mailboxId: to.mailboxId, mailTo: to.address };
  const bytes = Buffer.from(new Uint8Array(Buffer.from(raw)).buffer);
  const result = await house.receiver.receive({ envelope, recipients: [recipient], raw: bytes });
  assert.equal(result.kind, "stored");
}

/** Contents of the house's mails whose parser counts what it reads. */
function countedContents(house: House, options: Partial<ContentsOptions> = {}) {
  const parser = new MailParser({});
  const read: number[] = [];
  const contents = new Contents({
    store: house.store,
    parser: {
      summarize: (raw) => {
        read.push(raw.length);
        return parser.summarize(raw);
      },
    },
    ...options,
  });
  return { contents, read };
}

function recordingBy({ store }: House, recordContents: Store["recordContents"]): ContentsOptions["store"] {
  return {
    listMails: (query) => store.listMails(query),
    describeMail: (key) => store.describeMail(key),
    recordContents,
  };
}

function pageOf(person: Person) {
  const order = "oldest" as const;
  return { userId: person.userId, filters: null, order, limit: 100, maxChars: 8_000_000, nowMs: Date.now() };
}

async function storedContent(house: House, person: Person, id = 1): Promise<string | null | undefined> {
  const key = { userId: person.userId, id, mailboxIds: null, nowMs: Date.now() };
  return (await house.store.describeMail(key))?.content;
}

test("a mail that nobody waited for shows its content to whoever asks for it first, in every way to ask", async () => {
  await using house = await House.open();
  const ann = await house.addPerson("ann");
  for (const subject of ["listed", "detailed", "replayed"]) await take(house, ann, htmlMail(subject));
  assert.equal(await storedContent(house, ann), null, "nothing was read for nobody");
  const details = await fetch(`${house.origin}/v1/mails/2`, { headers: { authorization: `Bearer ${ann.key}` } });
  assert.equal(((await details.json()) as { content: string }).content, text);
  using socket = await openSocket(house.origin, { key: ann.key, since: "0" });
  for (const subject of ["listed", "detailed", "replayed"]) {
    const frame = await socket.next();
    assert.deepEqual([frame.subject, frame.content], [subject, text]);
  }
  const { data } = await listMails(house.origin, { mail: ann.address, key: ann.key });
  assert.deepEqual(
    data.map(({ content }) => content),
    [text, text, text],
  );
});

test("a mail that somebody waits for is stored with its content and handed over with it", async () => {
  await using house = await House.open();
  const ann = await house.addPerson("ann");
  using socket = await openSocket(house.origin, { key: ann.key });
  await take(house, ann, htmlMail("live"));
  assert.equal((await socket.next()).content, text);
  assert.equal(await storedContent(house, ann), text);
});

test("a follower who came while a mail was on its way gets its content from the store", async () => {
  await using house = await House.open();
  const ann = await house.addPerson("ann");
  using socket = await openSocket(house.origin, { key: ann.key });
  // As it looked when the mail came in.
  house.feed.isFollowed = () => false;
  await take(house, ann, htmlMail("first"));
  assert.equal((await socket.next()).content, text);
  await take(house, ann, htmlMail("second"));
  assert.equal((await socket.next()).subject, "second");
});

test("what many ask for at once is read once, and once more never", async () => {
  await using house = await House.open();
  const ann = await house.addPerson("ann");
  await take(house, ann, htmlMail("one"));
  await take(house, ann, htmlMail("two"));
  const { contents, read } = countedContents(house);
  const pages = await Promise.all(Array.from({ length: 20 }, async () => await contents.list(pageOf(ann))));
  for (const page of pages) assert.deepEqual(page.map(contentOf), [text, text]);
  const key = { userId: ann.userId, id: 2, mailboxIds: null, nowMs: Date.now() };
  assert.equal((await contents.describe(key))?.content, text);
  assert.equal(read.length, 2);
  await contents[Symbol.asyncDispose]();
  assert.deepEqual([await storedContent(house, ann, 1), await storedContent(house, ann, 2)], [text, text]);
  assert.deepEqual((await contents.list(pageOf(ann))).map(contentOf), [text, text]);
  assert.equal(read.length, 2, "the store has it now");
});

test("content is stored within seconds of being read, with nobody asking again", async () => {
  await using house = await House.open();
  const ann = await house.addPerson("ann");
  await take(house, ann, htmlMail("one"));
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const store = recordingBy(house, async (read) => {
    await house.store.recordContents(read);
    resolve(read[0]?.content);
  });
  await using contents = countedContents(house, { store }).contents;
  await contents.list(pageOf(ann));
  // The timer alone keeps no process alive.
  const alive = setInterval(() => undefined, 1_000);
  assert.equal(await promise, text);
  clearInterval(alive);
});

test("what is read while the store is busy with the contents before is stored after them", async () => {
  await using house = await House.open();
  const ann = await house.addPerson("ann");
  const busyStore = Promise.withResolvers<void>();
  const store = recordingBy(house, async (read) => {
    await busyStore.promise;
    await house.store.recordContents(read);
  });
  const { contents } = countedContents(house, { store });
  // There is nothing to store yet, which must not be taken for being busy.
  await contents[Symbol.asyncDispose]();
  await take(house, ann, htmlMail("one"));
  await contents.list(pageOf(ann));
  const first = contents[Symbol.asyncDispose]();
  await take(house, ann, htmlMail("two"));
  await contents.list(pageOf(ann));
  const second = contents[Symbol.asyncDispose]();
  busyStore.resolve();
  await Promise.all([first, second]);
  assert.deepEqual([await storedContent(house, ann, 1), await storedContent(house, ann, 2)], [text, text]);
});

for (const [name, trouble] of [
  ["the disk is nearly full", { disk: { isLow: true } }],
  ["the parser had no time", { parser: { summarize: () => ({ ...busy, defects: ["parser_busy"] as const }) } }],
] as const) {
  test(`nothing is stored while ${name}: it is read again later`, async () => {
    await using house = await House.open();
    const ann = await house.addPerson("ann");
    await take(house, ann, htmlMail("one"));
    const troubled = countedContents(house, trouble).contents;
    const page = await troubled.list(pageOf(ann));
    assert.equal(page.length, 1);
    await troubled[Symbol.asyncDispose]();
    assert.equal(await storedContent(house, ann), null);
    const { contents } = countedContents(house);
    assert.deepEqual((await contents.list(pageOf(ann))).map(contentOf), [text]);
    await contents[Symbol.asyncDispose]();
    assert.equal(await storedContent(house, ann), text);
  });
}

const busy = { from: "", subject: "", received: 0, content: "", contentAt: null };

test("a store that cannot keep a content does not stop it from being read", async () => {
  await using house = await House.open();
  const ann = await house.addPerson("ann");
  await take(house, ann, htmlMail("one"));
  const store = recordingBy(house, () => Promise.reject(new Refusal("store_failed")));
  const { contents, read } = countedContents(house, { store });
  assert.deepEqual((await contents.list(pageOf(ann))).map(contentOf), [text]);
  await contents[Symbol.asyncDispose]();
  assert.deepEqual((await contents.list(pageOf(ann))).map(contentOf), [text]);
  assert.equal(read.length, 2, "it is read again");
});

test("a page of mails to read ends where a page of their contents would, and leaves others their turn", async () => {
  await using house = await House.open();
  const ann = await house.addPerson("ann");
  for (let n = 0; n < 60; n++) await take(house, ann, htmlMail("one"));
  await using contents = countedContents(house).contents;
  const short = await contents.list({ ...pageOf(ann), maxChars: 2 * text.length });
  assert.equal(short.length, 2);
  let turns = 0;
  const count = (): void => {
    turns++;
    counting = setImmediate(count);
  };
  let counting = setImmediate(count);
  assert.equal((await contents.list(pageOf(ann))).length, 60);
  clearImmediate(counting);
  assert.ok(turns > 1, `${turns} turns`);
});

test("whether a user is followed is known while somebody is there, and of nobody else", async () => {
  await using house = await House.open();
  const [ann, bob] = [await house.addPerson("ann"), await house.addPerson("bob")];
  assert.equal(house.feed.isFollowed(ann.userId), false);
  using socket = await openSocket(house.origin, { key: ann.key });
  assert.deepEqual([house.feed.isFollowed(ann.userId), house.feed.isFollowed(bob.userId)], [true, false]);
  socket[Symbol.dispose]();
  while (house.feed.isFollowed(ann.userId)) await nextTurn();
});

function contentOf({ content }: MailRecord): string {
  return content;
}
