import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, test } from "node:test";
import { Connection } from "../src/store/sqlite/connection.ts";
import { holdRawFiles, releaseRawFiles } from "../src/store/sqlite/raw-file-changes.ts";
import { RawFileWriter } from "../src/store/sqlite/raw-file-writer.ts";
import { RawFiles } from "../src/store/sqlite/raw-files.ts";
import { rawFilePath, rawFilesBeside, type RawFileSizes } from "../src/store/sqlite/raw-file.ts";
import { restoreSqlite } from "../src/store/sqlite/restore.ts";
import { openSqliteStore } from "../src/store/sqlite/sqlite-store.ts";
import { WriterThread } from "../src/store/sqlite/writer-thread.ts";
import type { Store, User } from "../src/store/store.ts";
import { openServed, smallRawFiles } from "./support/sqlite-engine.ts";
import { newMailbox } from "./support/new-mailbox.ts";
import { box, main, newMail, now } from "./support/store-place.ts";
import { TemporaryDirectory } from "./support/temporary-directory.ts";
import { until } from "./support/until.ts";

const MiB = 1024 * 1024;
const usual: RawFileSizes = { fromBytes: 32 * 1024, aloneFromBytes: 40_000, fileBytes: 8 * MiB };

/** A served data directory with one user. */
class Served implements AsyncDisposable {
  readonly dataDir: string;
  readonly sizes: RawFileSizes;
  readonly #directory = new TemporaryDirectory();
  store!: Store;
  ann!: User;

  private constructor(sizes: RawFileSizes) {
    this.sizes = sizes;
    this.dataDir = join(this.#directory.path, "data");
  }

  static async open(sizes: RawFileSizes): Promise<Served> {
    const served = new Served(sizes);
    served.store = await openServed(served.dataDir, sizes);
    await served.store.createDomain({ name: "mails.test", allowsTemp: true, nowMs: now });
    served.ann = await served.store.createUser({ address: "ann@mails.test", nowMs: now });
    return served;
  }

  get file(): string {
    return join(this.dataDir, "catmails.db");
  }

  get files(): number[] {
    return rawFilesBeside(this.file).toSorted((a, b) => a - b);
  }

  /** Commits mails of so many random bytes in one turn; answers what each is by its id. */
  async deliver(...sizes: readonly number[]): Promise<Map<number, Buffer>> {
    const mails = sizes.map((bytes) => randomBytes(bytes));
    const committed = mails.map((raw) =>
      this.store.commit(newMail(main(this.ann), "mail", { raw: new Uint8Array(raw) })),
    );
    const ids = (await Promise.all(committed)).map(({ delivered }) => delivered[0]?.id ?? 0);
    return new Map(ids.map((id, index) => [id, mails[index]!]));
  }

  /** Throws unless these mails read back as they came, to this store or another one. */
  async assertReadable(mails: ReadonlyMap<number, Buffer>, store = this.store): Promise<void> {
    for (const [id, bytes] of mails) {
      const mail = await store.readMail({ userId: this.ann.id, id, mailboxIds: null, nowMs: now });
      assert.ok(mail !== null && bytes.equals(mail.raw), `mail ${id} of ${bytes.length} bytes`);
    }
  }

  keepNewest(maxCount: number): Promise<number> {
    return this.store.trimMails({ userId: this.ann.id, beforeMs: 0, maxCount, limit: 1000 });
  }

  /** First values of the rows of a question to the database. */
  values(sql: string): unknown[] {
    using database = new DatabaseSync(this.file, { readOnly: true });
    return database
      .prepare(sql)
      .all()
      .map((row) => Object.values(row)[0]);
  }

  /** Has a mail to nobody begin the next file, so that those that come now lie in it. */
  async nextFile(bytes: number): Promise<void> {
    const count = (): number => this.values("SELECT id FROM raw_file").length;
    const before = count();
    await until("the next raw file is in use", async () => {
      const nobody = { userId: 0, mailboxId: 0, mailTo: "" };
      await this.store.commit(newMail(nobody, "", { raw: new Uint8Array(bytes) }));
      return count() > before;
    });
  }

  change<Result>(work: (connection: Connection) => Result): Result {
    using connection = new Connection(this.file, { readOnly: false });
    return work(connection);
  }

  async restart(): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    this.store = await openServed(this.dataDir, this.sizes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    this.#directory[Symbol.dispose]();
  }
}

const ignored = { onCommit: () => undefined, onChange: () => undefined, onForeignChange: () => undefined };

const inFiles = "SELECT raw_file FROM message WHERE raw_file IS NOT NULL";
const inDatabase = "SELECT message_id FROM raw UNION ALL SELECT id FROM message WHERE raw IS NOT NULL";

describe("raw mails", () => {
  test("that come together lie in a file, one after the other, and nowhere else", async () => {
    await using served = await Served.open(usual);
    const mails = await served.deliver(...Array.from({ length: 20 }, (_, index) => 2_000 + 333 * index));
    assert.equal(served.values(inFiles).length, 20);
    assert.deepEqual(served.values(inDatabase), []);
    assert.equal(new Set(served.values(inFiles)).size, 1);
    const gaps = `SELECT count(*) FROM message a JOIN message b ON b.id = a.id + 1 WHERE b.raw_at <> a.raw_at + a.raw_size`;
    assert.deepEqual(served.values(gaps), [0]);
    await served.assertReadable(mails);
    await using reader = await openSqliteStore({ dataDir: served.dataDir });
    await served.assertReadable(mails, reader);
  });

  test("that are few bytes stay in the database, and so does one alone that is not large", async () => {
    await using served = await Served.open(usual);
    const mails = await served.deliver(10_000, 20_000);
    const alone = await served.deliver(39_999);
    assert.deepEqual(served.values(inFiles), []);
    await served.deliver(40_000);
    await served.deliver(20_000, 20_000);
    assert.equal(served.values(inFiles).length, 3);
    await served.assertReadable(new Map([...mails, ...alone]));
  });

  test("stay in the database where nobody serves it", async () => {
    await using served = await Served.open(usual);
    await using other = await openSqliteStore({ dataDir: served.dataDir });
    const raw = randomBytes(100_000);
    await other.commit(newMail(main(served.ann), "mail", { raw: new Uint8Array(raw) }));
    assert.deepEqual(served.values(inFiles), []);
    await served.assertReadable(new Map([[1, raw]]));
  });

  test("of any length are what they were", async () => {
    await using served = await Served.open(usual);
    const mails = await served.deliver(3 * MiB + 1, 1, MiB - 4096, 4095, 4096, 4097, 0, MiB, 70_001);
    assert.equal(served.values(inFiles).length, 9);
    const more = await served.deliver(2 * MiB, 33_000);
    await served.assertReadable(new Map([...mails, ...more]));
  });

  test("go on in the next file when one is full, and into the database when none is at hand or they fit into none", async () => {
    await using served = await Served.open(smallRawFiles);
    const all = new Map<number, Buffer>();
    for (let round = 0; round < 60; round++) {
      for (const [id, raw] of await served.deliver(round === 7 ? 300_000 : 20_000 + 100 * round)) all.set(id, raw);
    }
    assert.ok(new Set(served.values(inFiles)).size >= 2, `${served.values(inFiles).length} in files`);
    assert.ok(served.values(inDatabase).length >= 1);
    await served.assertReadable(all);
  });
});

describe("raw files", () => {
  test("are as long as their mails once the server stops, and a new one is begun by the next", async () => {
    await using served = await Served.open(usual);
    const mails = await served.deliver(50_000, 50_000);
    const [file] = served.values(inFiles);
    await served.store[Symbol.asyncDispose]();
    const sizes = served.files.map((id) => statSync(rawFilePath(served.file, id)).size);
    assert.ok(
      sizes.every((bytes) => bytes % 4096 === 0 && bytes < 300_000),
      sizes.join(),
    );
    served.store = await openServed(served.dataDir, usual);
    const more = await served.deliver(40_000);
    assert.ok(Number(served.values(inFiles).at(-1)) > Number(file));
    await served.assertReadable(new Map([...mails, ...more]));
  });

  test("that a crash left, and that the database does not know, go with the next start; their numbers are not used again", async () => {
    await using served = await Served.open(usual);
    const mails = await served.deliver(40_000);
    writeFileSync(rawFilePath(served.file, 77), "left over");
    writeFileSync(join(served.dataDir, "catmails.db-raw-x"), "not ours");
    await served.restart();
    assert.equal(existsSync(rawFilePath(served.file, 77)), false);
    assert.ok(existsSync(join(served.dataDir, "catmails.db-raw-x")));
    await served.deliver(40_000);
    assert.ok(Number(served.values(inFiles).at(-1)) > 77);
    await served.assertReadable(mails);
  });

  test("that cannot be written keep no mail from being stored", () => {
    using directory = new TemporaryDirectory();
    const database = join(directory.path, "catmails.db");
    using writer = new RawFileWriter(database, smallRawFiles);
    const mails = [randomBytes(5_000)];
    assert.equal(writer.place(mails), null);
    assert.equal(writer.need, 1);
    writer.offer(1);
    assert.equal(writer.need, null);
    assert.equal(writer.place(mails), null, "a file that is not there");
    mkdirSync(rawFilePath(database, 2));
    writer.offer(2);
    assert.equal(writer.place(mails), null, "a directory");
    assert.equal(writer.need, null, "until the next mail");
    assert.equal(writer.place(mails), null, "no file");
    assert.equal(writer.need, 1);
    writeFileSync(rawFilePath(database, 3), Buffer.alloc(smallRawFiles.fileBytes));
    writer.offer(3);
    assert.deepEqual(writer.place(mails), [{ file: 3, at: 0 }]);
    assert.equal(writer.need, 0);
    assert.deepEqual(writer.place(mails), [{ file: 3, at: 8192 }]);
    assert.equal(writer.need, 8192 / smallRawFiles.fileBytes);
  });

  test("go when none of their mails is left, a minute later, and no sooner", async () => {
    await using served = await Served.open(smallRawFiles);
    await served.deliver(100_000);
    const [file] = served.values(inFiles) as number[];
    await served.nextFile(160_000);
    const newer = await served.deliver(45_000, 45_000);
    assert.equal(served.values(inFiles).length, 3);
    assert.ok(file !== undefined && !served.values(`${inFiles} AND id > 1`).includes(file));
    const isThere = (): boolean => served.files.includes(file);
    await served.store.reclaim(now);
    await served.store.reclaim(now + 3_600_000);
    assert.ok(isThere(), "with a mail in it");
    await served.keepNewest(2);
    await served.store.reclaim(now);
    await served.store.reclaim(now + 59_000);
    assert.ok(isThere(), "somebody may be about to read it");
    await served.store.reclaim(now + 60_000);
    assert.ok(!isThere());
    assert.ok(!served.values("SELECT id FROM raw_file").includes(file));
    await served.store.reclaim(now + 3_600_000);
    await served.assertReadable(newer);
  });

  test("give the little that is left in them back to the database", async () => {
    await using served = await Served.open(smallRawFiles);
    const old = await served.deliver(...Array<number>(12).fill(20_000));
    const [file] = served.values(inFiles) as number[];
    await served.nextFile(160_000);
    const newer = await served.deliver(90_000);
    assert.equal(new Set(served.values(inFiles)).size, 2);
    await served.keepNewest(3);
    const left = new Map([...old].slice(-2));
    for (let step = 0; step < 4; step++) await served.store.reclaim(now);
    assert.deepEqual(served.values(inDatabase).length, 2);
    await served.store.reclaim(now + 60_000);
    assert.ok(file !== undefined && !served.files.includes(file));
    await served.assertReadable(new Map([...left, ...newer]));
    const page = {
      userId: served.ann.id,
      filters: null,
      order: "newest",
      limit: 9,
      maxChars: MiB,
      nowMs: now,
    } as const;
    assert.equal((await served.store.listMails(page)).length, 3);
  });

  test("go with their mails also where no more mail comes into files", async () => {
    await using served = await Served.open(smallRawFiles);
    const old = await served.deliver(90_000, 50_000, 10_000);
    const [file] = served.values(inFiles) as number[];
    await served.store[Symbol.asyncDispose]();
    const rawFiles = { ...smallRawFiles, fromBytes: Infinity, aloneFromBytes: Infinity };
    served.store = await openSqliteStore({ dataDir: served.dataDir, rawFiles });
    const newer = await served.deliver(40_000, 40_000);
    assert.equal(served.values(inDatabase).length, 2);
    await served.assertReadable(old);
    await served.keepNewest(2);
    for (const laterMs of [0, 60_000]) await served.store.reclaim(now + laterMs);
    assert.ok(file !== undefined && !served.files.includes(file));
    assert.deepEqual(served.values("SELECT id FROM raw_file"), []);
    await served.assertReadable(newer);
  });

  test("are not looked at again and again while nothing is deleted", async () => {
    await using served = await Served.open(smallRawFiles);
    await served.deliver(100_000);
    await served.nextFile(160_000);
    await served.store[Symbol.asyncDispose]();
    let looks = 0;
    await using writer = await WriterThread.start({ file: served.file, log: undefined, ...ignored });
    const call: WriterThread["call"] = (name, input) => {
      if (name === "reclaimRawFiles") looks++;
      return writer.call(name, input);
    };
    const counted = { call, offerRawFile: () => undefined };
    await using files = await RawFiles.open({ database: served.file, sizes: smallRawFiles, writer: counted });
    const lookUntilNoMore = async (): Promise<number> => {
      const before = looks;
      for (let second = 0; second < 20; second++) await files.reclaim(now + second);
      return looks - before;
    };
    assert.ok((await lookUntilNoMore()) < 20, "once through all files after a start");
    assert.equal(await lookUntilNoMore(), 0);
    files.noteDeletions();
    assert.ok((await lookUntilNoMore()) > 0);
    assert.equal(await lookUntilNoMore(), 0);
  });

  test("keep mails whose message has the number of one that was deleted", async () => {
    await using served = await Served.open(smallRawFiles);
    await served.deliver(40_000, 40_000, 40_000, 40_000);
    const temp = await served.store.createMailbox(
      newMailbox({ userId: served.ann.id, address: "tmp@mails.test", kind: "temp", nowMs: now }),
    );
    // The newest of the first file, and the oldest of the second.
    await served.store.commit(newMail(box(temp), "temp", { raw: new Uint8Array(40_000) }));
    await served.nextFile(100_000);
    await served.store.commit(newMail(box(temp), "temp", { raw: new Uint8Array(100_000) }));
    assert.deepEqual(served.values("SELECT first_message FROM raw_file ORDER BY id"), [1, 6]);
    await served.store.deleteMailbox({
      ...{ userId: served.ann.id, address: temp.address, kinds: ["temp"], mailboxIds: null, nowMs: now, reserveMs: 0 },
    });
    while ((await served.store.purge({ nowMs: now, limit: 100 })) > 0);
    const newest = await served.deliver(30_000);
    await served.keepNewest(1);
    assert.deepEqual(served.values("SELECT id FROM message"), [5]);
    await served.restart();
    for (let step = 0; step < 4; step++) await served.store.reclaim(now);
    await served.store.reclaim(now + 3_600_000);
    await served.assertReadable(newest);
  });

  test("stay while a copy of the database is made, and for a day at most", async () => {
    await using served = await Served.open(smallRawFiles);
    await served.deliver(100_000);
    const [file] = served.values(inFiles) as number[];
    await served.nextFile(160_000);
    await served.deliver(90_000);
    await served.keepNewest(1);
    const hold = served.change((connection) => holdRawFiles(connection, now));
    const other = served.change((connection) => holdRawFiles(connection, now));
    await served.store.reclaim(now);
    await served.store.reclaim(now + 3_600_000);
    served.change((connection) => releaseRawFiles(connection, hold));
    await served.store.reclaim(now + 3_600_000);
    assert.ok(file !== undefined && served.files.includes(file) && other !== hold);
    await served.store.reclaim(now + 86_400_000);
    assert.ok(!served.files.includes(file));
  });
});

describe("a backup", () => {
  test("holds the mails of raw files, and leaves no hold and no file of its own", async () => {
    await using served = await Served.open(usual);
    const mails = await served.deliver(3 * MiB, 40_000, 5_000, 0, MiB);
    const target = join(served.dataDir, "../copy.db");
    await served.store.backup(target);
    assert.deepEqual(served.values("SELECT id FROM raw_file_hold"), []);
    assert.deepEqual(readdirSync(join(served.dataDir, "..")).toSorted(), ["copy.db", "data"]);
    const dataDir = join(served.dataDir, "../restored");
    await restoreSqlite({ from: target, dataDir, replace: false });
    await using restored = await openSqliteStore({ dataDir });
    await served.assertReadable(mails, restored);
  });

  test("is not the database's file alone, where mails lie beside it", async () => {
    await using served = await Served.open(usual);
    await served.deliver(40_000);
    await served.store[Symbol.asyncDispose]();
    const copy = join(served.dataDir, "../bare.db");
    copyFileSync(served.file, copy);
    const dataDir = join(served.dataDir, "../restored");
    await assert.rejects(
      restoreSqlite({ from: copy, dataDir, replace: false }),
      /^Error: The file .*bare\.db is not a backup: files beside it \(.*bare\.db-raw-…\) hold a part of it\. Make one: catmails backup$/,
    );
    assert.equal(existsSync(join(dataDir, "catmails.db")), false);
    served.store = await openServed(served.dataDir, usual);
  });

  test("that is put in place of a database takes its raw files' place too", async () => {
    await using served = await Served.open(usual);
    const before = await served.deliver(40_000);
    const target = join(served.dataDir, "../copy.db");
    await served.store.backup(target);
    await served.deliver(50_000);
    await served.store[Symbol.asyncDispose]();
    await restoreSqlite({ from: target, dataDir: served.dataDir, replace: true });
    assert.deepEqual(served.files, []);
    served.store = await openServed(served.dataDir, usual);
    const after = await served.deliver(60_000);
    await served.assertReadable(new Map([...before, ...after]));
  });
});
