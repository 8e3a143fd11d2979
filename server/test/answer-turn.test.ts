import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { AnswerTurn } from "../src/http/answer-turn.ts";

test("answers of one turn are written in order, once the turn is over, and those of the next one after it", async (t) => {
  t.mock.method(performance, "now", () => 0);
  const turn = new AnswerTurn();
  const written: string[] = [];
  const write = (answer: string): Promise<unknown> => turn.over().then(() => written.push(answer));
  const first = [write("one"), write("two")];
  await Promise.resolve();
  assert.deepEqual(written, []);
  await Promise.all(first);
  assert.deepEqual(written, ["one", "two"]);
  await write("three");
  assert.deepEqual(written, ["one", "two", "three"]);
});

test("an answer is not held back for many that take their time", async (t) => {
  let nowMs = 0;
  t.mock.method(performance, "now", () => nowMs);
  const turn = new AnswerTurn();
  let isOver = false;
  const next = nextTurn().then(() => (isOver = true));
  const first = turn.over();
  nowMs += 2;
  void turn.over();
  await first;
  assert.equal(isOver, false);
  await next;
});
