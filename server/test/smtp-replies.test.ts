import assert from "node:assert/strict";
import { test } from "node:test";
import { failed, isError, isLast, replies, stored, type Reply } from "../src/smtp/replies.ts";
import { readProjectFile } from "./support/project-files.ts";
import { lintReplies } from "./support/smtp-client.ts";

const fixed: Reply[] = Object.values(replies);

test("docs/smtp.md lists every fixed reply, in order, and says which of them close", () => {
  const rows = readProjectFile("docs/smtp.md").matchAll(/^\| `(\d{3} [^`<]+)` +\| (.+?) +\|$/gm);
  const documented = Array.from(rows, ([, reply = "", when = ""]) => ({ reply, closes: when.endsWith("; closes") }));
  assert.deepEqual(
    documented,
    // 221 says it by its code alone, but the table says it too.
    fixed.map((reply) => ({ reply, closes: isLast(reply) })),
  );
});

test("every reply is well formed, and the linter of replies would notice one that is not", () => {
  lintReplies([...fixed, stored("receipt"), failed("incident")].map((reply) => `${reply}\r\n`).join(""));
  for (const bad of [
    "250 OK",
    "250 5.1.1 No",
    "550 5.1.1",
    "250 2.0.0 a\nb",
    `250 2.0.0 ${"x".repeat(510)}`,
    "250 2.0.0 ü",
  ]) {
    assert.throws(() => lintReplies(`${bad}\r\n`), bad);
  }
});

test("a fault of ours is never counted as an error of the client", () => {
  assert.equal(isError(failed("x")), false);
  assert.equal(isError(replies.unknownMailbox), true);
});
