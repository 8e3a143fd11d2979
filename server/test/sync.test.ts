import assert from "node:assert/strict";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { makeKey, storeKey } from "../src/mail/keys.ts";
import { hastyService } from "./faults/hasty-entry.ts";
import { openStore, settleResidents } from "./faults/household.ts";
import { Ledger, readLedger } from "./faults/ledger.ts";
import { makeMail, makeToken, stuffDots } from "./faults/mail-factory.ts";
import { Random } from "./support/random.ts";
import { listThroughApi, readBack } from "./faults/read-back.ts";
import { SmtpLink } from "./faults/smtp-link.ts";
import { canTrace, straceCommand, traceEnded } from "./faults/strace-file.ts";
import { proveSyncs, syncCalls } from "./faults/sync-trace.ts";
import { faultless, judge } from "./faults/verdict.ts";
import { realDiskDirectory } from "./support/temporary-directory.ts";
import { postMail } from "./support/ingest-client.ts";
import { ServiceProcess } from "./support/service-process.ts";

const mails = 500;
const skip = canTrace() ? false : "strace is not installed, or may not trace here";

describe("250 comes after a completed sync", { skip }, () => {
  test(`for ${mails} of ${mails} mails`, async (t) => {
    using directory = realDiskDirectory();
    const trace = join(directory.path, "trace");
    const sent = await sendTraced(t, { directory: directory.path, trace });
    assert.equal(sent.length, mails);
    const proven = await proveSyncs(trace, sent);
    t.diagnostic(`${proven.size} of ${sent.length} replies came after a completed sync of the write-ahead log`);
    assert.equal(proven.size, mails);

    const withoutSyncs = join(directory.path, "trace-without-syncs");
    writeFileSync(withoutSyncs, "");
    for (const line of readFileSync(trace, "latin1").split("\n")) {
      if (!/f(?:data)?sync\(|f(?:data)?sync resumed/.test(line)) appendFileSync(withoutSyncs, `${line}\n`, "latin1");
    }
    assert.equal((await proveSyncs(withoutSyncs, sent)).size, 0, "the same trace without its syncs proves something");
  });

  test("and a server that answers first is noticed", async (t) => {
    using directory = realDiskDirectory();
    const trace = join(directory.path, "trace");
    const sent = await sendTraced(t, { directory: directory.path, trace, entry: hastyService, mails: 50 });
    assert.equal(sent.length, 50);
    assert.equal((await proveSyncs(trace, sent)).size, 0);
  });

  test("and so is one whose syncs do nothing", async (t) => {
    using directory = realDiskDirectory();
    const trace = join(directory.path, "trace");
    const tamper = ["-e", "inject=fsync,fdatasync:retval=0"];
    const sent = await sendTraced(t, { directory: directory.path, trace, tamper, mails: 50 });
    assert.equal(sent.length, 50);
    assert.equal((await proveSyncs(trace, sent)).size, 0);
  });
});

describe("200 comes after a completed sync", { skip }, () => {
  test("for each of 100 mails that were posted", async (t) => {
    using directory = realDiskDirectory();
    const trace = join(directory.path, "trace");
    const posted = await postTraced({ directory: directory.path, trace });
    assert.equal(posted.length, 100);
    assert.equal((await proveSyncs(trace, posted)).size, 100);
    const withoutSyncs = join(directory.path, "trace-without-syncs");
    const lines = readFileSync(trace, "latin1").split("\n");
    const kept = lines.filter((line) => !/f(?:data)?sync\(|f(?:data)?sync resumed/.test(line));
    writeFileSync(withoutSyncs, kept.join("\n"), "latin1");
    assert.equal((await proveSyncs(withoutSyncs, posted)).size, 0, "the same trace without its syncs proves something");
    t.diagnostic(`${posted.length} posts`);
  });
});

describe("a disk that fails", { skip }, () => {
  // Counted per thread: well after the start, in the middle of 200 mails.
  const faults = [
    { name: "to sync, for good", inject: "fsync,fdatasync:error=EIO:when=100+", recovers: false },
    { name: "to sync, for a moment", inject: "fsync,fdatasync:error=EIO:when=100..104", recovers: true },
    { name: "to write, being full for a moment", inject: "pwrite64:error=ENOSPC:when=500..540", recovers: true },
  ];
  for (const { name, inject, recovers } of faults) {
    test(`${name}: mail is answered 451, and what was acknowledged is there`, async (t) => {
      using directory = realDiskDirectory();
      const dataDir = join(directory.path, "data");
      const [ann] = await settleResidents(dataDir, ["ann"]);
      assert.ok(ann);
      const book = join(directory.path, "ledger");
      const replies: string[] = [];
      {
        const under = straceCommand(syncCalls, "/dev/null", ["-e", `inject=${inject}`]);
        await using service = await ServiceProcess.start({ dataDir, under });
        using ledger = new Ledger(book);
        using link = await SmtpLink.open(service.report.smtp.port);
        for (let i = 0; i < 200; i++) replies.push(await sendOne(link, { to: ann.address, ledger }));
      }
      const isAcknowledged = (reply: string): boolean => reply.startsWith("250 2.0.0 ");
      const acknowledged = replies.filter(isAcknowledged);
      const refused = replies.filter((reply) => !isAcknowledged(reply));
      t.diagnostic(`${acknowledged.length} acknowledged, ${refused.length} refused`);
      assert.ok(isAcknowledged(replies[0] ?? ""), "the disk failed before the first mail");
      assert.ok(refused.length > 0, "the disk never failed");
      assert.deepEqual([...new Set(refused.map((reply) => reply.slice(0, 10)))], ["451 4.3.0 "]);
      assert.equal(isAcknowledged(replies.at(-1) ?? ""), recovers, "whether it takes mail again");
      await using service = await ServiceProcess.start({ dataDir });
      const listed = await listThroughApi(service.report.http, ann);
      assert.equal(await service.stop(), 0);
      const read = await readBack(dataDir, [{ resident: ann, listed }]);
      assert.deepEqual(read.faults, []);
      const owners = new Map([[ann.address, ann.address]]);
      const { verdict } = judge({ ledger: readLedger(book), found: read.found, owners, pushed: null });
      assert.deepEqual(verdict, faultless);
    });
  }
});

interface Traced {
  directory: string;
  /** File of the trace. */
  trace: string;
  entry?: string;
  /** What strace does to the calls. */
  tamper?: readonly string[];
  mails?: number;
}

/** Sends mails one at a time to a traced server; answers those that were acknowledged, with their replies. */
async function sendTraced(t: TestContext, run: Traced): Promise<{ token: string; reply: string }[]> {
  const dataDir = join(run.directory, "data");
  const [ann] = await settleResidents(dataDir, ["ann"]);
  assert.ok(ann);
  const sent: { token: string; reply: string }[] = [];
  await using service = await ServiceProcess.start({
    dataDir,
    under: straceCommand(syncCalls, run.trace, run.tamper),
    ...(run.entry === undefined ? {} : { entry: run.entry }),
  });
  using link = await SmtpLink.open(service.report.smtp.port);
  for (let i = 0; i < (run.mails ?? mails); i++) {
    const token = makeToken();
    const reply = await sendOne(link, { to: ann.address, token });
    if (reply.startsWith("250 2.0.0 ")) sent.push({ token, reply });
  }
  await service.stop();
  await traceEnded(run.trace, service.pid);
  t.diagnostic(`${sent.length} acknowledged`);
  return sent;
}

/** Posts mails one at a time to a traced server; answers those that were acknowledged, with their receipts. */
async function postTraced(run: Traced): Promise<{ token: string; reply: string }[]> {
  const dataDir = join(run.directory, "data");
  const [ann] = await settleResidents(dataDir, ["ann"]);
  assert.ok(ann);
  const key = makeKey();
  {
    await using store = await openStore(dataDir);
    const user = await store.findUser(ann.address);
    await storeKey(store, key, { userId: user?.id ?? 0, ingest: "own", nowMs: Date.now() });
  }
  const posted: { token: string; reply: string }[] = [];
  await using service = await ServiceProcess.start({ dataDir, under: straceCommand(syncCalls, run.trace) });
  const { origin } = new URL(service.report.http);
  for (let i = 0; i < 100; i++) {
    const token = makeToken();
    const body = makeMail(new Random(1), token, 600);
    const answer = await postMail(origin, { to: ann.address }, { key: key.text, body });
    if (answer.body.success) posted.push({ token, reply: answer.body.receipt ?? "" });
  }
  await service.stop();
  await traceEnded(run.trace, service.pid);
  return posted;
}

async function sendOne(link: SmtpLink, mail: { to: string; token?: string; ledger?: Ledger }): Promise<string> {
  const token = mail.token ?? makeToken();
  const raw = makeMail(new Random(1), token, 600);
  mail.ledger?.begin(token, raw);
  const reply = await link.deliver({
    envelopeFrom: "sender@example.org",
    recipients: [mail.to],
    wire: stuffDots(raw),
    onFinalDot: (accepted) => mail.ledger?.dot(token, accepted),
  });
  mail.ledger?.answer(token, reply);
  return reply;
}
