import assert from "node:assert/strict";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Attempts } from "../src/acme/attempts.ts";
import { directoryFor } from "./support/temporary-directory.ts";

const name = "mx.mails.example";
const directoryUrl = "https://ca.example/dir";
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** When orders are made within a time in which `act` says what becomes of each; every one by a server that has just started. */
async function ordersOf(t: TestContext, spanMs: number, act: (attempts: Attempts) => Promise<void>): Promise<number[]> {
  const file = join(directoryFor(t), "orders.json");
  const startMs = Date.UTC(2026, 0, 1);
  t.mock.timers.enable({ apis: ["Date"], now: startMs });
  const times: number[] = [];
  for (;;) {
    const attempts = await Attempts.open(file, directoryUrl);
    const dueMs = Math.max(attempts.notBeforeMs(name, Date.now()), Date.now());
    if (dueMs > startMs + spanMs) return times;
    t.mock.timers.setTime(dueMs);
    times.push(dueMs - startMs);
    await attempts.begin(name);
    await act(attempts);
  }
}

test("failures in a row keep to 4 orders in the first hour and 2 a day in the end", async (t) => {
  const fail = (attempts: Attempts) => attempts.fail(name, { reason: "no", retryAfterMs: null });
  const times = await ordersOf(t, 10 * dayMs, fail);
  assert.ok(times.filter((time) => time < hourMs).length <= 4, String(times));
  assert.ok(times.filter((time) => time > 8 * dayMs && time < 9 * dayMs).length <= 2, String(times));
  assert.ok(times.length > 15, "it never gives up");
});

test("servers that die in the middle of an order make no more of them", async (t) => {
  const times = await ordersOf(t, hourMs, () => Promise.resolve());
  assert.ok(times.length <= 4, String(times));
});

test("what the authority asks for is kept, up to a week", async (t) => {
  const wait = (retryAfterMs: number) => (attempts: Attempts) => attempts.fail(name, { reason: "no", retryAfterMs });
  const [, second] = await ordersOf(t, 3 * dayMs, wait(2 * dayMs));
  assert.equal(second, 2 * dayMs);
  t.mock.timers.reset();
  const [, late] = await ordersOf(t, 30 * dayMs, wait(365 * dayMs));
  assert.equal(late, 7 * dayMs);
});

test("certificates of a name that get lost again and again are 5 in a week at most", async (t) => {
  const succeed = (attempts: Attempts) => attempts.succeed(name, 90 * dayMs);
  const times = await ordersOf(t, 7 * dayMs - 1, succeed);
  assert.equal(times.length, 5);
});

test("a clock that was wrong for a while does not put orders off for years", async (t) => {
  const file = join(directoryFor(t), "orders.json");
  const nowMs = Date.UTC(2026, 0, 1);
  t.mock.timers.enable({ apis: ["Date"], now: nowMs + 3650 * dayMs });
  const attempts = await Attempts.open(file, directoryUrl);
  await attempts.begin(name);
  assert.equal((await Attempts.open(file, directoryUrl)).notBeforeMs(name, nowMs), 0);
});

test("another authority is asked at once, and knows nothing of the failures at the one before", async (t) => {
  const file = join(directoryFor(t), "orders.json");
  const before = await Attempts.open(file, "https://staging.example/dir");
  await before.begin(name);
  const attempts = await Attempts.open(file, directoryUrl);
  assert.equal(attempts.isFromElsewhere(name), true);
  assert.deepEqual([attempts.notBeforeMs(name, Date.now()), attempts.of(name).failures], [0, 0]);
  await attempts.begin(name);
  assert.equal((await Attempts.open(file, directoryUrl)).isFromElsewhere(name), false);
  assert.equal((await Attempts.open(file, directoryUrl)).isFromElsewhere("other.example"), false);
});
