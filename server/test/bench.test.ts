import { match, rejects, strictEqual } from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { SampleMails } from "../../bench/sample-mail.ts";
import { SentMails } from "../../bench/sent-mails.ts";
import { setUp } from "../src/mail/setup.ts";
import { openSqliteStore } from "../src/store/sqlite/sqlite-store.ts";
import { projectRoot } from "./support/project-files.ts";
import { directoryFor } from "./support/temporary-directory.ts";

const run = promisify(execFile);
const address = "demo@mails.localhost";

test("a moment of every benchmark runs through and ends in the table of targets", async (t) => {
  const { stdout } = await run(process.execPath, ["bench/run.ts", "--smoke", "--dir", directoryFor(t)], {
    cwd: projectRoot,
  });
  match(stdout, /^\d+ mails acknowledged and stored, \d+ of them compared byte for byte$/m);
  match(stdout, /^What has to be reached$/m);
  match(stdout, /^ {2}one connection, dot to 250 .* ms of .* ms +(?:reached|MISSED)$/m);
  // The words of a figure that no part has given.
  strictEqual(/NaN|Infinity|undefined/.exec(stdout), null);
});

test("a benchmark does not believe an acknowledgement that the store does not keep", async (t) => {
  const dataDir = directoryFor(t);
  const sent = new SentMails();
  const token = sent.newToken(2_000);
  const raw = new SampleMails(2_000, token).bytesOf(7);
  await keep(dataDir, raw);
  sent.note(token, { acknowledged: 1, failed: 0 });
  match(await sent.verify(dataDir), /^1 mails acknowledged and stored, 1 of them compared/);

  const again = sent.newToken(2_000);
  sent.note(again, { acknowledged: 1, failed: 0 });
  await rejects(sent.verify(dataDir), /Mail 1 is not what was sent/);
});

test("a benchmark counts every acknowledged mail in the store, and knows a changed byte", async (t) => {
  const dataDir = directoryFor(t);
  const sent = new SentMails();
  const token = sent.newToken("mix");
  const raw = new SampleMails("mix", token).bytesOf(3);
  await keep(dataDir, raw);
  sent.note(token, { acknowledged: 2, failed: 0 });
  await rejects(sent.verify(dataDir), /2 mails were acknowledged, but 1 are stored/);

  const changed = sent.newToken("mix");
  const other = new SampleMails("mix", changed).bytesOf(3);
  other[other.length - 3] = 0x21;
  const otherDir = directoryFor(t);
  await keep(otherDir, other);
  sent.note(changed, { acknowledged: 1, failed: 0 });
  await rejects(sent.verify(otherDir), /Mail 1 is not what was sent/);
});

async function keep(dataDir: string, raw: Buffer): Promise<void> {
  await using store = await openSqliteStore({ dataDir });
  const domain = "mails.localhost";
  await setUp(store, { domain, tempDomain: `temp.${domain}`, bootstrapMail: address, bootstrapKey: null });
  const mailbox = await store.findMailbox(address, Date.now());
  await store.commit({
    raw: new Uint8Array(raw),
    envelopeFrom: "bench@example.com",
    mailFrom: "bench@example.com",
    subject: "",
    content: "",
    receivedAtMs: Date.now(),
    defects: [],
    origin: null,
    recipients: [{ userId: mailbox?.userId ?? 0, mailboxId: mailbox?.id ?? 0, mailTo: address }],
  });
}
