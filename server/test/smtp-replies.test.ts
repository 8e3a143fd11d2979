import assert from "node:assert/strict";
import { test } from "node:test";
import { extensions, failed, greeting, isError, isLast, replies, stored, type Reply } from "../src/smtp/replies.ts";
import { readProjectFile } from "./support/project-files.ts";
import { ReplyLinter } from "./support/reply-linter.ts";

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

test("every reply is well formed", () => {
  const linter = new ReplyLinter();
  const answers = [greeting("mx.test"), extensions("mx.test", { maxMessageBytes: 1, startTls: true }), "250 mx.test"];
  for (const reply of [...answers, ...fixed, stored("receipt"), failed("incident")]) linter.take(`${reply}\r\n`);
});

test("a fault of ours is never counted as an error of the client", () => {
  assert.equal(isError(failed("x")), false);
  assert.equal(isError(replies.unknownMailbox), true);
});
