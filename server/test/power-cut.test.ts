import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { before, after, describe, test } from "node:test";
import { diskCalls, readDiskRecord, type DiskEvent } from "./faults/disk-record.ts";
import { openStore, settleResidents, type Resident } from "./faults/household.ts";
import { sha256, type LedgerEntry } from "./faults/ledger.ts";
import { makeMail, makeToken, stuffDots } from "./faults/mail-factory.ts";
import { cutPower, type PowerCut } from "./faults/power-cut.ts";
import { Random } from "./support/random.ts";
import { SmtpLink } from "./faults/smtp-link.ts";
import { canTrace, straceCommand, traceEnded } from "./faults/strace-file.ts";
import { faultless, judge, type FoundMail, type Verdict } from "./faults/verdict.ts";
import { realDiskDirectory } from "./support/temporary-directory.ts";
import { ServiceProcess } from "./support/service-process.ts";

const cuts = Number(process.env["FAULTS_POWER_CUTS"] ?? 16);
const skip = canTrace() ? false : "strace is not installed, or may not trace here";

interface SentMail {
  token: string;
  sha256: string;
  reply: string;
}

describe("a power cut on a disk that keeps its word about syncs", { skip }, () => {
  const directory = realDiskDirectory();
  const dataDir = join(directory.path, "data");
  const random = new Random();
  const sent: SentMail[] = [];
  let ann: Resident;
  let original: Map<string, Buffer>;
  let events: DiskEvent[];

  before(async () => {
    const [resident] = await settleResidents(dataDir, ["ann"]);
    assert.ok(resident);
    ann = resident;
    original = new Map(readdirSync(dataDir).map((name) => [name, readFileSync(join(dataDir, name))]));
    const trace = join(directory.path, "trace");
    await using service = await ServiceProcess.start({ dataDir, under: straceCommand(diskCalls, trace) });
    // Large mails fill the write-ahead log until it is copied back, while small ones go on coming in.
    const sizes = [...Array<number[]>(6).fill(Array<number>(60).fill(1500)), Array<number>(13).fill(6_000_000)];
    await Promise.all(sizes.map((ofOne) => sendFrom(service.report.smtp.port, ofOne)));
    assert.equal(await service.stop(), 0);
    await traceEnded(trace, service.pid);
    events = await readDiskRecord(trace, dataDir);
  });
  after(() => directory[Symbol.dispose]());

  const sendFrom = async (port: number, sizes: readonly number[]): Promise<void> => {
    using link = await SmtpLink.open(port);
    for (const bytes of sizes) {
      const token = makeToken();
      const raw = makeMail(random, token, bytes);
      const reply = await link.deliver({
        envelopeFrom: "sender@example.org",
        recipients: [ann.address],
        wire: stuffDots(raw),
      });
      assert.match(reply, /^250 2\.0\.0 /);
      sent.push({ token, sha256: sha256(raw), reply });
    }
  };

  test(`loses nothing that was acknowledged, at ${cuts} moments`, async (t) => {
    t.diagnostic(`FAULTS_SEED=${random.seed}`);
    assert.ok(copiesBackWhileMailComes(events), "the log was never copied back while mail came in");
    let acknowledged = 0;
    for (const at of moments(events, random, cuts)) {
      const outcome = await cutAndRecover({ before: original, events, at, random, keepsItsWord: true });
      acknowledged += outcome.acknowledged;
      assert.deepEqual(outcome.verdict, faultless, `cut at ${at}`);
    }
    t.diagnostic(`${sent.length} mails, ${events.length} events, ${acknowledged} acknowledged mails looked for`);
    assert.ok(acknowledged > cuts * 50);
  });

  test("and the same cuts on a disk that only says that it has synced are noticed", async (t) => {
    const faults: string[] = [];
    for (const at of moments(events, random, 5)) {
      const cut = { before: original, events, at, random, keepsItsWord: false };
      const outcome = await cutAndRecover(cut).catch((error: unknown) => String(error));
      // A database that cannot even be opened is a fault as well.
      if (typeof outcome === "string") faults.push(outcome);
      else if (outcome.verdict.lost.length > 0) faults.push(`${outcome.verdict.lost.length} lost`);
    }
    t.diagnostic(faults.join("; "));
    assert.ok(faults.length > 0, "a disk that syncs nothing looks as good as one that does");
  });

  async function cutAndRecover(cut: PowerCut): Promise<{ verdict: Verdict; acknowledged: number }> {
    const recovered = join(directory.path, "recovered");
    rmSync(recovered, { recursive: true, force: true });
    mkdirSync(recovered);
    for (const [name, bytes] of cutPower(cut)) writeFileSync(join(recovered, name), bytes);
    const found = await readAll(recovered, ann);
    checkIntegrity(recovered);
    const said = new Set(
      events.flatMap((event) => (event.kind === "reply" && event.startedAt <= cut.at ? event.line : [])),
    );
    const entries = sent.map((mail): LedgerEntry => {
      const state = said.has(mail.reply) ? "acknowledged" : "unknown";
      return { token: mail.token, sha256: mail.sha256, recipients: [ann.address], state };
    });
    const ledger = new Map(entries.map((entry) => [entry.token, entry]));
    return { verdict: judge(ledger, found, new Map([[ann.address, ann.address]])), acknowledged: said.size };
  }
});

/** Moments at random and, as many, close to the end of a sync, where the disk has just changed its mind. */
function moments(events: readonly DiskEvent[], random: Random, count: number): number[] {
  const syncs = events.filter(({ kind }) => kind === "sync").map(({ startedAt }) => startedAt);
  const last = events.at(-1)?.startedAt ?? 0;
  return Array.from({ length: count }, (_, index) =>
    index % 2 === 0 ? random.integer(1, last) : random.pick(syncs) + random.integer(-3, 5),
  );
}

function copiesBackWhileMailComes(events: readonly DiskEvent[]): boolean {
  const lastReply = events.findLast(({ kind }) => kind === "reply");
  return events.some(
    (event) => event.kind === "write" && event.file.endsWith(".db") && event.startedAt < (lastReply?.startedAt ?? 0),
  );
}

async function readAll(dataDir: string, resident: Resident): Promise<FoundMail[]> {
  await using store = await openStore(dataDir);
  const user = await store.findUser(resident.address);
  assert.ok(user);
  const found: FoundMail[] = [];
  const lastId = (await store.lastMailIds([user.id])).get(user.id) ?? 0;
  for (let id = 1; id <= lastId; id++) {
    const mail = await store.readMail({ userId: user.id, id, mailboxIds: null, nowMs: Date.now() });
    assert.ok(mail, `mail ${id} of ${lastId} is missing`);
    found.push({ token: mail.subject, sha256: sha256(mail.raw), mailTo: mail.mailTo, owner: resident.address, id });
  }
  return found;
}

function checkIntegrity(dataDir: string): void {
  using database = new DatabaseSync(join(dataDir, "catmails.db"), { readOnly: true });
  assert.deepEqual({ ...database.prepare("PRAGMA integrity_check").get() }, { integrity_check: "ok" });
}
