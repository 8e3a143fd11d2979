import assert from "node:assert/strict";
import { test } from "node:test";
import { timeFormatter } from "../src/clock.ts";

test("a time in UTC is written as in every other zone, from day to day and back", () => {
  const [utc, zone] = [timeFormatter("UTC"), timeFormatter("Etc/GMT")];
  assert.equal(utc(Date.UTC(2026, 2, 8, 9, 5, 7, 999)), "2026-03-08 09:05:07");
  const day = 86_400_000;
  const around = [-1, 0, 999, 1000, 59_999, 60_000, 3_599_999, 3_600_000, day - 1, day, day + 1];
  for (const start of [0, Date.UTC(2024, 1, 29), Date.UTC(2026, 11, 31)]) {
    for (const after of around) assert.equal(utc(start + after), zone(start + after), `${start + after}`);
  }
  assert.throws(() => utc(Number.NaN), RangeError);
});
