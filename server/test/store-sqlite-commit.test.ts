import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { Connection } from "../src/store/sqlite/connection.ts";
import { DataDirectory } from "./support/sqlite-engine.ts";
import { main, newMail, now } from "./support/store-place.ts";

const patienceMs = 20_000;

test("a commit that is begun goes on while its caller keeps the turn", async () => {
  await using place = new DataDirectory();
  await using store = await place.open();
  await store.createDomain({ name: "mails.test", allowsTemp: true, nowMs: now });
  const ann = await store.createUser({ address: "ann@mails.test", nowMs: now });
  using reader = new Connection(join(place.dataDir, "catmails.db"), { readOnly: true });
  const isStored = (): boolean => reader.get("SELECT 1 FROM message LIMIT 1") !== undefined;
  const stored = store.commit(newMail(main(ann), "x"));
  store.beginCommit();
  const untilMs = performance.now() + patienceMs;
  while (!isStored() && performance.now() < untilMs);
  assert.ok(isStored(), "the thread that writes did not wait for the end of this turn");
  assert.equal((await stored).delivered.length, 1);
});
