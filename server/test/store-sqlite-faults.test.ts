import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { isRefusal } from "../src/errors.ts";
import { WriterThread } from "../src/store/sqlite/writer-thread.ts";
import { DataDirectory } from "./support/sqlite-engine.ts";
import { main, newMail, now, StoreScene } from "./support/store-place.ts";
import { StoreProcess } from "./support/store-process.ts";
import { until } from "./support/until.ts";

async function prepared(place: DataDirectory): Promise<void> {
  const store = await place.open();
  await store.createDomain({ name: "mails.test", allowsTemp: true, nowMs: now });
  await store.createUser({ address: "ann@mails.test", nowMs: now });
  await store[Symbol.asyncDispose]();
}

/** Checks that every mail that a process was told is stored is there, under its id, once. */
async function assertKept(place: DataDirectory, lines: readonly string[]): Promise<number> {
  await using scene = new StoreScene(place, await place.open(), false);
  const ann = await scene.store.findUser("ann@mails.test");
  assert.ok(ann !== null);
  const mails = await scene.list(ann, { order: "oldest", limit: 1e6, maxChars: 1e9 });
  assert.deepEqual(
    mails.map(({ id }) => id),
    Array.from(mails, (_, index) => index + 1),
  );
  const subjects = new Map(mails.map(({ id, subject }) => [id, subject]));
  assert.equal(new Set(subjects.values()).size, mails.length);
  let stored = 0;
  for (const line of lines) {
    const [word, id, subject] = line.split(" ");
    if (word !== "stored") continue;
    assert.equal(subjects.get(Number(id)), subject, line);
    stored++;
  }
  return stored;
}

describe("SQLite under faults", () => {
  test("keeps all it acknowledged when it is killed, again and again", { timeout: 60_000 }, async () => {
    await using place = new DataDirectory();
    await prepared(place);
    const lines: string[] = [];
    for (let round = 1; round <= 3; round++) {
      await using first = new StoreProcess(place.dataDir, "deliver");
      await using second = new StoreProcess(place.dataDir, "deliver");
      await Promise.all([first.line("stored"), second.line("stored")]);
      await first.kill();
      await second.line("stored", second.lines.length);
      await second.kill();
      lines.push(...first.lines, ...second.lines);
      assert.ok((await assertKept(place, lines)) >= 2 * round);
    }
    await assert.rejects(assertKept(place, [...lines, "stored 999999 never"]));
  });

  test("refuses while the disk is full and goes on when there is room again", { timeout: 60_000 }, async (context) => {
    if (!canLimit()) return context.skip("needs prlimit from util-linux");
    await using place = new DataDirectory();
    await prepared(place);
    await using deliverer = new StoreProcess(place.dataDir, "deliver");
    const limit = (bytes: string): unknown =>
      execFileSync("prlimit", ["--pid", String(deliverer.child.pid), `--fsize=${bytes}:unlimited`]);
    await deliverer.line("stored");
    for (let round = 0; round < 2; round++) {
      limit(String(statSync(join(place.dataDir, "catmails.db-wal")).size + 50_000));
      await deliverer.line("refused", deliverer.lines.length);
      limit("unlimited");
      await deliverer.line("stored", deliverer.lines.length);
    }
    await deliverer.kill();
    assert.ok((await assertKept(place, deliverer.lines)) > 0);
  });

  test("refuses what a dying writer leaves unanswered, and starts another", { timeout: 30_000 }, async () => {
    await using place = new DataDirectory();
    await prepared(place);
    const store = await place.open();
    const ann = await store.findUser("ann@mails.test");
    assert.ok(ann !== null);
    await store[Symbol.asyncDispose]();
    const script = new URL("./support/dying-writer.ts", import.meta.url);
    const file = join(place.dataDir, "catmails.db");
    const ignore = (): void => undefined;
    const options = { file, script, log: undefined, onCommit: ignore, onChange: ignore, onForeignChange: ignore };
    await using writer = await WriterThread.start(options);
    const attempt = (subject: string): Promise<unknown> => writer.commit(newMail(main(ann), subject));
    const dying = await Promise.allSettled([attempt("a"), attempt("b")]);
    assert.ok(dying.every((result) => result.status === "rejected" && isRefusal(result.reason, "store_failed")));
    assert.deepEqual(writer.pending(), { mails: 0, bytes: 0 });
    await until("another writer has started", async () => {
      const [result] = await Promise.allSettled([attempt("c")]);
      return result.status === "fulfilled";
    });
    assert.ok(existsSync(`${file}.died`));
  });

  test("never takes a mail whose bytes were given away before", async () => {
    await using place = new DataDirectory();
    await prepared(place);
    await using scene = new StoreScene(place, await place.open(), false);
    const ann = await scene.store.findUser("ann@mails.test");
    assert.ok(ann !== null);
    const large = { raw: new Uint8Array(100_000) };
    const mail = newMail(main(ann), "once", large);
    await scene.store.commit(mail);
    await assert.rejects(scene.store.commit(mail), TypeError);
    const twice = newMail(main(ann), "twice", large);
    const results = await Promise.allSettled([scene.store.commit(twice), scene.store.commit(twice)]);
    assert.ok(results.every(({ status }) => status === "rejected"));
    assert.deepEqual(await scene.subjects(ann), ["once"]);
  });

  test("stores the others when one job of a transaction cannot be", async () => {
    await using place = new DataDirectory();
    await prepared(place);
    await using scene = new StoreScene(place, await place.open(), false);
    const ann = await scene.store.findUser("ann@mails.test");
    assert.ok(ann !== null);
    const broken = { subject: null as unknown as string };
    const results = await Promise.allSettled([
      scene.deliver(main(ann), "before"),
      scene.deliver(main(ann), "broken", broken),
      scene.deliver(main(ann), "after"),
    ]);
    assert.deepEqual(
      results.map((result) => (result.status === "fulfilled" ? result.value : "refused")),
      [1, "refused", 2],
    );
    assert.deepEqual(await scene.subjects(ann), ["after", "before"]);
  });
});

function canLimit(): boolean {
  try {
    execFileSync("prlimit", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
