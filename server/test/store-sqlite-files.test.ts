import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, test } from "node:test";
import { DatabaseFile } from "../src/store/sqlite/database-file.ts";
import { LogKeeper } from "../src/store/sqlite/log-keeper.ts";
import { restoreSqlite } from "../src/store/sqlite/restore.ts";
import { acquireServeLock } from "../src/store/sqlite/serve-lock.ts";
import { WriterThread } from "../src/store/sqlite/writer-thread.ts";
import { makeOldDatabase, newestVersion } from "./support/old-database.ts";
import { DataDirectory, sqliteEngine } from "./support/sqlite-engine.ts";
import { main, newMail, now, StoreScene } from "./support/store-place.ts";
import { StoreProcess } from "./support/store-process.ts";
import { StartedThreads } from "./support/started-threads.ts";
import { until } from "./support/until.ts";

const knownVersion = newestVersion();

const MiB = 1024 * 1024;

const hashOf = (bytes: Uint8Array = new Uint8Array()): string => createHash("sha256").update(bytes).digest("hex");

const databaseOf = (place: DataDirectory): string => join(place.dataDir, "catmails.db");

describe("the files of SQLite", () => {
  test("are their owner's alone, and only the database is left after closing", async () => {
    await using place = new DataDirectory();
    const store = await place.open();
    assert.equal(statSync(place.dataDir).mode & 0o777, 0o700);
    for (const end of ["", "-wal", "-shm"]) assert.equal(statSync(`${databaseOf(place)}${end}`).mode & 0o777, 0o600);
    await store[Symbol.asyncDispose]();
    assert.deepEqual(readdirSync(place.dataDir), ["catmails.db"]);
  });

  test("are whole and alone also when the store closes while its log is being copied back", async () => {
    const threads = (): number => process.getActiveResourcesInfo().filter((name) => name === "MessagePort").length;
    const before = threads();
    await using scene = await StoreScene.open(sqliteEngine);
    const ann = await scene.user("ann");
    const { dataDir } = scene.place as DataDirectory;
    // The last of these fills the log, and its copy has begun when the mail is answered.
    const big = (): Uint8Array<ArrayBuffer> => new Uint8Array(8 * 1024 * 1024);
    const subjects = Array.from({ length: 8 }, (_, index) => `mail ${index}`);
    for (const subject of subjects) await scene.deliver(main(ann), subject, { raw: big() });
    assert.ok(threads() > before + 1, "the writer's thread has company");
    await scene.store[Symbol.asyncDispose]();
    assert.equal(threads(), before);
    assert.deepEqual(readdirSync(dataDir), ["catmails.db"]);
    await using again = await scene.another();
    assert.deepEqual(await again.subjects(ann, { order: "oldest" }), subjects);
  });

  test("are copied back by a thread that ends when there was nothing to copy for a while", async () => {
    await using scene = await StoreScene.open(sqliteEngine);
    using threads = new StartedThreads();
    const path = databaseOf(scene.place as DataDirectory);
    using file = new DatabaseFile(path);
    await using keeper = new LogKeeper({ path, file, restMs: 1 });
    for (let count = 1; count <= 2; count++) {
      await new Promise<void>((resolve) => keeper.note(Number.MAX_SAFE_INTEGER, async () => resolve()));
      assert.deepEqual(
        threads.names,
        Array.from({ length: count }, () => "store-copier"),
      );
      await until("the thread has ended", () => threads.running === 0);
    }
  });

  test("have a log that is not ended while the database cannot be synced", async () => {
    await using scene = await StoreScene.open(sqliteEngine);
    const path = databaseOf(scene.place as DataDirectory);
    for (const [name, times] of [
      [path, 1],
      [`${path}.missing`, 0],
    ] as const) {
      let ended = 0;
      {
        using file = new DatabaseFile(name);
        await using keeper = new LogKeeper({ path, file });
        keeper.note(Number.MAX_SAFE_INTEGER, async () => void ended++);
      }
      assert.equal(ended, times);
    }
  });

  test("have a log that was ended when its writer says so, and no word of the old one comes later", async () => {
    await using scene = await StoreScene.open(sqliteEngine);
    const ann = await scene.user("ann");
    await scene.store[Symbol.asyncDispose]();
    const logs: number[] = [];
    const [onCommit, onChange, onForeignChange] = [(bytes: number) => void logs.push(bytes), () => {}, () => {}];
    const file = databaseOf(scene.place as DataDirectory);
    await using writer = await WriterThread.start({ file, log: undefined, onCommit, onChange, onForeignChange });
    const stored = writer.commit(newMail(main(ann), "large", { raw: new Uint8Array(4 * MiB) }));
    writer.flush();
    await writer.finishCheckpoint();
    assert.equal(logs.length, 1);
    assert.ok((logs[0] ?? 0) > 4 * MiB);
    await Promise.all([stored, writer.commit(newMail(main(ann), "small"))]);
    assert.ok((logs[1] ?? MiB) < MiB, `${logs[1]} bytes of the new log`);
  });

  test("are synced at each commit", async () => {
    await using scene = await StoreScene.open(sqliteEngine);
    const facts = new Map((await scene.store.check()).facts.map(({ name, value }) => [name, value]));
    assert.deepEqual([facts.get("synchronous"), facts.get("journal mode")], ["full", "wal"]);
  });

  test("hold one message, however many recipients it has, and nothing after the last of them", async () => {
    await using scene = await StoreScene.open(sqliteEngine);
    const { dataDir } = scene.place as DataDirectory;
    const users = await Promise.all(Array.from({ length: 100 }, (_, index) => scene.user(`u${index}`)));
    await scene.deliver(
      users.map((user) => main(user)),
      "to all",
    );
    using database = new DatabaseSync(join(dataDir, "catmails.db"), { readOnly: true });
    const rows = (table: string): unknown => database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.["n"];
    const sizes = (): unknown[] => ["mail", "message", "raw", "message_share"].map(rows);
    assert.deepEqual(sizes(), [100, 1, 1, 1]);
    const trim = { beforeMs: Number.MAX_SAFE_INTEGER, maxCount: 0, limit: 10 };
    for (const user of users.slice(1)) await scene.store.trimMails({ userId: user.id, ...trim });
    assert.deepEqual(sizes(), [1, 1, 1, 1]);
    await scene.store.trimMails({ userId: users[0]?.id ?? 0, ...trim });
    assert.deepEqual(sizes(), [0, 0, 0, 0]);
  });

  test("hold a mail of plain text once, and nothing of it after it went", async () => {
    await using scene = await StoreScene.open(sqliteEngine);
    const { dataDir } = scene.place as DataDirectory;
    const ann = await scene.user("ann");
    const content = "All work and no play.\n".repeat(100).trimEnd();
    const header = "Subject: plain\r\n\r\n";
    const raw = new TextEncoder().encode(header + content.replaceAll("\n", "\r\n"));
    await scene.deliver(main(ann), "plain", { raw: raw.slice(), content });
    await scene.deliver(main(ann), "plain", {
      raw: raw.slice(),
      content,
      contentAt: { start: header.length, end: raw.length },
    });
    using database = new DatabaseSync(join(dataDir, "catmails.db"), { readOnly: true });
    const stored = `SELECT length(CAST(g.content AS BLOB)) + coalesce(length(g.raw), 0) + coalesce(length(r.bytes), 0) AS n
      FROM message g LEFT JOIN raw r ON r.message_id = g.id ORDER BY g.id`;
    const bytes = database.prepare(stored);
    assert.deepEqual(
      bytes.all().map((row) => row["n"]),
      [raw.length + content.length, raw.length],
    );
    await scene.store.trimMails({ userId: ann.id, beforeMs: Number.MAX_SAFE_INTEGER, maxCount: 0, limit: 10 });
    assert.deepEqual(bytes.all(), []);
  });

  test("hold a large mail in parts, whole again for its reader, and none of them after it went", async () => {
    await using scene = await StoreScene.open(sqliteEngine);
    const { dataDir } = scene.place as DataDirectory;
    const ann = await scene.user("ann");
    const sizes = [MiB - 1, MiB, MiB + 1, 2 * MiB, 3 * MiB + 7];
    const raws = sizes.map((size) => Uint8Array.from({ length: size }, (_, at) => (at * 31 + (at >> 12)) % 251));
    const read = (id: number) => scene.store.readMail({ userId: ann.id, id, mailboxIds: null, nowMs: now });
    for (const raw of raws) {
      const id = await scene.deliver(main(ann), "large", { raw: raw.slice() });
      assert.equal(Buffer.compare((await read(id))?.raw ?? new Uint8Array(), raw), 0, `${raw.length} bytes`);
    }
    using database = new DatabaseSync(join(dataDir, "catmails.db"));
    const largest = database.prepare(
      "SELECT max(length(bytes)) AS n FROM (SELECT bytes FROM raw UNION ALL SELECT bytes FROM raw_part)",
    );
    assert.equal(largest.get()?.["n"], MiB);
    const parts = database.prepare("SELECT count(*) AS n FROM raw_part");
    assert.equal(parts.get()?.["n"], 0 + 0 + 1 + 1 + 3);
    // As the version before parts stored it.
    database.exec(
      "UPDATE raw SET bytes = zeroblob(3145735) WHERE message_id = 5; DELETE FROM raw_part WHERE id / 4096 = 5",
    );
    assert.equal(Buffer.compare((await read(5))?.raw ?? new Uint8Array(), new Uint8Array(3 * MiB + 7)), 0);
    // Half a mail is never shown as a whole one.
    database.exec("DELETE FROM raw_part WHERE id / 4096 = 4");
    await assert.rejects(read(4), { errorName: "store_failed" });
    const trim = { beforeMs: Number.MAX_SAFE_INTEGER, maxCount: 0, limit: 10 };
    await scene.store.trimMails({ userId: ann.id, ...trim });
    assert.equal(parts.get()?.["n"], 0);
  });

  test("of every older version are moved up with all their mail, large ones too, and deleted whole", async () => {
    const sizes = [500, MiB - 1, MiB, MiB + 1, 2 * MiB, 3 * MiB + 7];
    for (let version = 1; version < knownVersion; version++) {
      await using place = new DataDirectory();
      const hashes = makeOldDatabase(place.dataDir, version, sizes);
      await using store = await place.open();
      assert.equal((await store.check()).schemaVersion, knownVersion);
      for (const [index, hash] of hashes.entries()) {
        const mail = await store.readMail({ userId: 1, id: index + 1, mailboxIds: null, nowMs: now });
        assert.equal(hashOf(mail?.raw), hash, `${sizes[index]} bytes from version ${version}`);
      }
      const idsFor = async (mailTo: string | null) => {
        const page = { order: "newest", limit: 50, maxChars: 1_000_000, nowMs: now } as const;
        const mails = await store.listMails({ userId: 1, filters: [{ mailboxId: 1, mailTo }], ...page });
        return mails.map(({ id }) => id);
      };
      assert.deepEqual(await idsFor(null), [6, 5, 4, 3, 2, 1], `a mailbox from version ${version}`);
      assert.deepEqual(await idsFor("ann+even@mails.localhost"), [6, 4, 2], `a tag from version ${version}`);
      await store.trimMails({ userId: 1, beforeMs: Number.MAX_SAFE_INTEGER, maxCount: 0, limit: 10 });
      using database = new DatabaseSync(databaseOf(place), { readOnly: true });
      const left = "SELECT (SELECT count(*) FROM raw) + (SELECT count(*) FROM raw_part) AS n";
      assert.equal(database.prepare(left).get()?.["n"], 0);
    }
  });

  test("of an older version keep the size of their pages, and get that of a new one by a backup", async () => {
    await using place = new DataDirectory();
    makeOldDatabase(place.dataDir, 1, [500]);
    {
      using old = new DatabaseSync(databaseOf(place));
      old.exec("PRAGMA journal_mode = DELETE; PRAGMA page_size = 16384; VACUUM; PRAGMA journal_mode = WAL");
    }
    await using store = await place.open();
    const backup = place.backupTarget();
    await store.backup(backup);
    const pageBytes = (path: string): unknown => {
      using database = new DatabaseSync(path, { readOnly: true });
      return database.prepare("PRAGMA page_size").get()?.["page_size"];
    };
    await store.trimMails({ userId: 1, beforeMs: Number.MAX_SAFE_INTEGER, maxCount: 0, limit: 10 });
    assert.equal((await store.reusableBytes()) % 16_384, 0);
    assert.deepEqual([databaseOf(place), backup].map(pageBytes), [16_384, 4096]);
  });

  test("may be made by several processes at once", { timeout: 60_000 }, async () => {
    await using place = new DataDirectory();
    const processes = Array.from({ length: 4 }, () => new StoreProcess(place.dataDir, "wait"));
    const lines = await Promise.all(processes.map((process) => process.line("open")));
    await Promise.all(processes.map((process) => process.kill()));
    assert.deepEqual(lines, ["open", "open", "open", "open"]);
    const store = await place.open();
    assert.equal((await store.check()).schemaVersion, knownVersion);
    await store[Symbol.asyncDispose]();
  });
});

describe("a file that cannot be our database", () => {
  const opening = async (prepare: (file: string) => void): Promise<void> => {
    await using place = new DataDirectory();
    mkdirSync(place.dataDir);
    prepare(databaseOf(place));
    await using _ = await place.open();
  };

  test("from a newer program is refused with one line that says what to do", async () => {
    await using place = new DataDirectory();
    await (await place.open())[Symbol.asyncDispose]();
    using database = new DatabaseSync(databaseOf(place));
    database.exec("PRAGMA user_version = 99");
    database.close();
    await assert.rejects(
      place.open(),
      new RegExp(
        `^Error: The database in .*catmails\\.db has schema version 99; this program knows up to ${knownVersion}\\. Run a newer catmails\\.$`,
      ),
    );
  });

  test("from another program is refused and left as it is", async () => {
    const foreign = (file: string): void => {
      using database = new DatabaseSync(file);
      database.exec("CREATE TABLE t (a)");
    };
    await assert.rejects(opening(foreign), /^Error: The file .*catmails\.db is not a Cat Mails database\.$/);
    const text = (file: string): void => writeFileSync(file, "no database at all, but long enough".repeat(100));
    await assert.rejects(opening(text), /^Error: The file .*catmails\.db is not a Cat Mails database\.$/);
    await assert.rejects(
      opening((file) => mkdirSync(file)),
      /^Error: The database in .* cannot be opened\.$/,
    );
  });
});

describe("the serve lock", () => {
  test("is one process's, and ends with it however it ends", { timeout: 30_000 }, async () => {
    await using place = new DataDirectory();
    await using holder = new StoreProcess(place.dataDir, "lock");
    assert.equal(await holder.line("locked"), "locked");
    assert.equal(acquireServeLock(place.dataDir), null);
    await holder.kill();
    using lock = acquireServeLock(place.dataDir);
    assert.notEqual(lock, null);
    assert.equal(acquireServeLock(place.dataDir), null);
    await using second = new StoreProcess(place.dataDir, "lock");
    assert.equal(await second.line("taken"), "taken");
  });

  test("names its file when that is something else", async () => {
    await using place = new DataDirectory();
    mkdirSync(place.dataDir);
    writeFileSync(join(place.dataDir, "serve.lock"), "no lock at all".repeat(1000));
    assert.throws(() => acquireServeLock(place.dataDir), /^Error: The lock .*serve\.lock cannot be used\.$/);
  });
});

describe("restoring a backup", () => {
  async function withBackup(
    use: (place: DataDirectory, backup: string, subject: () => Promise<string[]>) => Promise<void>,
  ) {
    await using scene = await StoreScene.open(sqliteEngine);
    const ann = await scene.user("ann");
    await scene.deliver(main(ann), "saved");
    const backup = scene.place.backupTarget();
    await scene.store.backup(backup);
    await scene.deliver(main(ann), "later");
    await scene.store[Symbol.asyncDispose]();
    const place = scene.place as DataDirectory;
    const subjects = async (): Promise<string[]> => {
      await using again = await scene.another();
      return await again.subjects(ann);
    };
    await use(place, backup, subjects);
  }

  test("gives back what was there when it was written, and nothing of the old log", async () => {
    await withBackup(async ({ dataDir }, backup, subjects) => {
      assert.equal(statSync(backup).mode & 0o777, 0o600);
      // A crashed server leaves its log behind; this one is of a database that the backup knows nothing of.
      await using crashed = new StoreProcess(dataDir, "deliver");
      await crashed.line("stored");
      await crashed.kill();
      assert.ok(existsSync(join(dataDir, "catmails.db-wal")));
      await restoreSqlite({ from: backup, dataDir, replace: true });
      assert.deepEqual(await subjects(), ["saved"]);
      assert.deepEqual(readdirSync(dataDir).toSorted(), ["catmails.db", "serve.lock"]);
    });
  });

  test("is refused while another command has the database open", { timeout: 60_000 }, async () => {
    await withBackup(async ({ dataDir }, backup, subjects) => {
      await using other = new StoreProcess(dataDir, "wait");
      assert.equal(await other.line("open"), "open");
      await assert.rejects(
        restoreSqlite({ from: backup, dataDir, replace: true }),
        /^Error: Another command has the database in .* open\. Stop it first\.$/,
      );
      await other.kill();
      assert.deepEqual(await subjects(), ["later", "saved"]);
      await restoreSqlite({ from: backup, dataDir, replace: true });
      assert.deepEqual(await subjects(), ["saved"]);
    });
  });

  test("is refused beside a server, over a database, and from anything but a whole backup", async () => {
    await withBackup(async ({ dataDir, directory }, backup, subjects) => {
      const restore = (from: string, replace: boolean): Promise<void> => restoreSqlite({ from, dataDir, replace });
      await assert.rejects(restore(backup, false), /^Error: There is a database in .* already\.$/);
      {
        using _ = acquireServeLock(dataDir);
        await assert.rejects(restore(backup, true), /^Error: A server is running in the data directory .*$/);
      }
      const broken = join(directory, "broken.db");
      writeFileSync(broken, "not a database".repeat(1000));
      await assert.rejects(restore(broken, true), /^Error: The file .*broken\.db is not a Cat Mails database\.$/);
      writeFileSync(broken, "");
      await assert.rejects(restore(broken, true), /^Error: The file .*broken\.db is not a Cat Mails database\.$/);
      copyFileSync(backup, broken);
      {
        using database = new DatabaseSync(broken);
        database.exec("PRAGMA user_version = 98");
      }
      await assert.rejects(restore(broken, true), /^Error: The database in .* has schema version 98; .*$/);
      assert.deepEqual(await subjects(), ["later", "saved"]);
    });
  });

  test("is refused from a database with mail in its log, also its own, and from what is no file", async () => {
    await withBackup(async ({ dataDir, directory }) => {
      await using crashed = new StoreProcess(dataDir, "deliver");
      await crashed.line("stored");
      await crashed.kill();
      const own = join(dataDir, "catmails.db");
      const log = statSync(`${own}-wal`).size;
      const restore = (from: string): Promise<void> => restoreSqlite({ from, dataDir, replace: true });
      await assert.rejects(restore(own), /^Error: The file .*catmails\.db is not a backup: its log .* Make one: .*$/);
      assert.equal(statSync(`${own}-wal`).size, log);
      for (const path of ["/dev/null", directory]) await assert.rejects(restore(path), /^Error: .* is not a file\.$/);
    });
  });
});
