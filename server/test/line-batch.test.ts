import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { LineBatch } from "../src/line-batch.ts";

test("lines of one turn go out in one write, in order, once the turn is over", async () => {
  const writes: string[] = [];
  const lines = new LineBatch((text) => writes.push(text));
  lines.add("one\n");
  lines.add("two\n");
  assert.deepEqual(writes, []);
  await nextTurn();
  lines.add("three\n");
  await nextTurn();
  assert.deepEqual(writes, ["one\ntwo\n", "three\n"]);
});

test("a flush leaves nothing behind, and nothing to be written twice", async () => {
  const writes: string[] = [];
  const lines = new LineBatch((text) => writes.push(text));
  lines.add("one\n");
  lines.flush();
  assert.deepEqual(writes, ["one\n"]);
  await nextTurn();
  assert.deepEqual(writes, ["one\n"]);
});

test("what waits is bounded, however much one turn brings", () => {
  let longest = 0;
  const lines = new LineBatch((text) => (longest = Math.max(longest, text.length)));
  for (let line = 0; line < 10_000; line++) lines.add(`${"x".repeat(99)}\n`);
  assert.ok(longest >= 65_536 && longest < 65_636);
});
