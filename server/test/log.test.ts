import assert from "node:assert/strict";
import { test } from "node:test";
import { createLog, redactKeys } from "../src/log.ts";

const key = "mk_4fT9sKq2Zx81LmN0aBcDeFgHiJkLmNoP";

for (const format of ["json", "pretty"] as const) {
  test(`no ${format} log line shows a key, wherever it stands`, () => {
    const lines: string[] = [];
    const log = createLog({ level: "trace", format, write: (line) => lines.push(line) });
    log.info({ url: `/api?key=${key}&mail=x`, headers: { authorization: `Bearer ${key}` } }, `message with ${key}`);
    log.error({ err: new Error(`failed for ${key}`) }, "failed");
    log.child({ [key]: 1 }).trace("a key as a name");
    const all = lines.join("");
    assert.ok(lines.length >= 3 && all.includes("message with mk_[redacted]"));
    assert.ok(!all.includes(key.slice(3)), all);
  });
}

test("a key in a percent-encoded URL is redacted too", () => {
  assert.equal(redactKeys("/api?key=mk%5Fabcdef&x=1"), "/api?key=mk_[redacted]&x=1");
});
