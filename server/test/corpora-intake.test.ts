import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, test } from "node:test";
import { openStore, settleResidents, type Resident } from "./faults/household.ts";
import { sha256 } from "./faults/ledger.ts";
import { stuffDots } from "./faults/mail-factory.ts";
import { listThroughApi } from "./faults/read-back.ts";
import { SmtpLink } from "./faults/smtp-link.ts";
import { mailFiles } from "./support/corpora.ts";
import { realDiskDirectory } from "./support/temporary-directory.ts";
import { readStrain, startStrained } from "./support/strain.ts";

const files = mailFiles();
const senders = 8;
/** Each mail is sent so often: enough readings of the delay for a 99th percentile that means something. */
const rounds = 5;
const maxDelayMs = 50;

interface CorpusMail {
  path: string;
  raw: Buffer;
  /** Plus-address that tells this mail from the others. */
  to: string;
  /** A bare CR cannot be said in SMTP (RFC 5321 section 2.3.8). */
  mustBeRefused: boolean;
}

describe(
  "every mail of the corpora",
  { skip: files.length === 0 ? "there are no corpora on this machine" : false },
  () => {
    test("comes in, byte-exact, and holds nothing up", async (t) => {
      using directory = realDiskDirectory();
      const dataDir = join(directory.path, "data");
      const [ann] = await settleResidents(dataDir, ["ann"]);
      assert.ok(ann);
      await using service = await startStrained({ dataDir });
      const { smtp, http } = service.report;
      const mails = Array.from({ length: rounds }, (_, round) =>
        files.map((path, index) => readMail(path, ann.address.replace("@", `+${round}-${index}@`))),
      ).flat();
      // Reading it starts it afresh, so the second reading knows nothing of what was before.
      await readStrain(service);
      const unexpected = await sendAll(smtp.port, mails);
      const { delayP99Ms } = await readStrain(service);
      const listed = await listThroughApi(http, ann);
      assert.equal(await service.stop(), 0);

      const expected = mails.filter((mail) => !mail.mustBeRefused);
      const refused = mails.length - expected.length;
      t.diagnostic(
        `${files.length} files, ${rounds} times: ${expected.length} stored, ${refused} with a bare CR refused`,
      );
      t.diagnostic(`99th percentile of what the server holds its event loop up: ${delayP99Ms.toFixed(1)} ms`);
      assert.deepEqual(unexpected, []);
      assert.ok(files.length > 250, `only ${files.length} mails`);
      assert.deepEqual(listed.map((mail) => mail.mailTo).toSorted(), expected.map(({ to }) => to).toSorted());
      assert.deepEqual(await findDifferences(dataDir, ann, expected), []);
      assert.ok(delayP99Ms < maxDelayMs, `the event loop was held up for ${delayP99Ms} ms at the 99th percentile`);
    });
  },
);

function readMail(path: string, to: string): CorpusMail {
  const text = readFileSync(path, "latin1").replaceAll(/\r?\n/g, "\r\n");
  const raw = Buffer.from(text.endsWith("\r\n") ? text : `${text}\r\n`, "latin1");
  return { path, raw, to, mustBeRefused: /\r(?!\n)/.test(text) };
}

/** Sends all; answers those whose reply was not the expected one. */
async function sendAll(port: number, mails: readonly CorpusMail[]): Promise<string[]> {
  const unexpected: string[] = [];
  const left = mails.values();
  const send = async (): Promise<void> => {
    for (const mail of left) {
      using link = await SmtpLink.open(port);
      const reply = await link.deliver({
        envelopeFrom: "sender@example.org",
        recipients: [mail.to],
        wire: stuffDots(mail.raw),
      });
      if (!reply.startsWith(mail.mustBeRefused ? "554 5.6.0 " : "250 2.0.0 "))
        unexpected.push(`${mail.path}: ${reply}`);
    }
  };
  await Promise.all(Array.from({ length: senders }, send));
  return unexpected;
}

async function findDifferences(dataDir: string, resident: Resident, mails: readonly CorpusMail[]): Promise<string[]> {
  await using store = await openStore(dataDir);
  const user = await store.findUser(resident.address);
  const stored = new Map<string, string>();
  for (let id = 1; id <= mails.length; id++) {
    const mail = await store.readMail({ userId: user?.id ?? 0, id, mailboxIds: null, nowMs: Date.now() });
    if (mail !== null) stored.set(mail.mailTo, sha256(mail.raw));
  }
  return mails.filter(({ to, raw }) => stored.get(to) !== sha256(raw)).map(({ path }) => basename(path));
}
