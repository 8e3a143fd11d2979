import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { createTransport } from "nodemailer";
import type { SeedMailList } from "@catmails/client";
import { openStore, settleResidents, type Resident } from "./faults/household.ts";
import { sha256 } from "./faults/ledger.ts";
import { envelopeSender, senderMails, type SenderMail } from "./faults/sender-mails.ts";
import { ReplyTap } from "./support/reply-tap.ts";
import { realDiskDirectory } from "./support/temporary-directory.ts";
import { ServiceProcess } from "./support/service-process.ts";

const run = promisify(execFile);

interface Shipment {
  port: number;
  raw: Buffer;
  recipients: readonly string[];
  /** A file for the sender's use. */
  file: string;
}

interface Sender {
  name: string;
  skip: string | false;
  send(shipment: Shipment): Promise<unknown>;
}

const python = `
import smtplib, sys
host, port, file, sender, *recipients = sys.argv[1:]
with open(file, "rb") as f, smtplib.SMTP(host, int(port)) as smtp:
    assert smtp.sendmail(sender, recipients, f.read()) == {}
`;

const senders: readonly Sender[] = [
  {
    name: "curl",
    skip: skipWithout("curl"),
    send: ({ port, raw, recipients, file }) => {
      writeFileSync(file, raw);
      const to = recipients.flatMap((address) => ["--mail-rcpt", address]);
      const url = `smtp://127.0.0.1:${port}/sender.example`;
      return run("curl", ["-sS", url, "--mail-from", envelopeSender, ...to, "--upload-file", file]);
    },
  },
  {
    name: "Python's smtplib",
    skip: skipWithout("python3"),
    send: ({ port, raw, recipients, file }) => {
      writeFileSync(file, raw);
      return run("python3", ["-c", python, "127.0.0.1", String(port), file, envelopeSender, ...recipients]);
    },
  },
  {
    name: "swaks",
    skip: skipWithout("swaks"),
    send: ({ port, raw, recipients, file }) => {
      // swaks ends the last line itself.
      writeFileSync(file, raw.subarray(0, -2));
      const envelope = ["--from", envelopeSender, "--to", recipients.join(",")];
      return run("swaks", ["--server", `127.0.0.1:${port}`, ...envelope, "--data", `@${file}`, "--silent", "3"]);
    },
  },
  {
    name: "nodemailer",
    skip: false,
    send: async ({ port, raw, recipients }) => {
      const transport = createTransport({ host: "127.0.0.1", port, secure: false, ignoreTLS: true });
      await transport.sendMail({ envelope: { from: envelopeSender, to: [...recipients] }, raw });
      transport.close();
    },
  },
];

for (const sender of senders) {
  describe(`mail sent by ${sender.name}`, { skip: sender.skip }, () => {
    const directory = realDiskDirectory();
    const dataDir = join(directory.path, "data");
    const file = join(directory.path, "mail.eml");
    let service: ServiceProcess;
    let tap: ReplyTap;
    let ann: Resident;
    before(async () => {
      const [resident] = await settleResidents(dataDir, ["ann"]);
      assert.ok(resident);
      ann = resident;
      service = await ServiceProcess.start({ dataDir });
      tap = await ReplyTap.open(service.report.smtp.port);
    });
    after(async () => {
      await tap[Symbol.asyncDispose]();
      await service[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    });

    for (const mail of senderMails()) {
      test(`reads back right: ${mail.name}`, async () => {
        const recipients = addressesFor(mail, ann.address);
        const since = (await list(service, ann)).data[0]?.id ?? 0;
        const dialogs = tap.dialogs;
        await sender.send({ port: tap.port, raw: mail.raw, recipients, file });
        assert.ok(tap.dialogs > dialogs, "what the server said was judged");
        const { count, data } = await list(service, ann, since);
        assert.equal(count, mail.recipients);
        assert.deepEqual(data.map((shown) => shown.mail_to).toSorted(), recipients.toSorted());
        for (const shown of data) {
          assert.equal(shown.subject, mail.subject);
          assert.equal(shown.mail_from, mail.mailFrom);
          assert.equal(shown.content.replaceAll("\r\n", "\n").trim(), mail.content);
        }
        const ids = data.map(({ id }) => id);
        assert.deepEqual(await rawHashes(dataDir, ann, ids), Array(ids.length).fill(sha256(mail.raw)));
      });
    }
  });
}

function addressesFor(mail: SenderMail, address: string): string[] {
  if (mail.recipients === 1) return [address];
  return Array.from({ length: mail.recipients }, (_, index) => address.replace("@", `+${index}@`));
}

async function list(service: ServiceProcess, resident: Resident, since?: number): Promise<SeedMailList> {
  const query = new URLSearchParams({ mail: resident.address, limit: "200" });
  if (since !== undefined) query.set("since", String(since));
  const response = await fetch(`${service.report.http}?${query.toString()}`, {
    headers: { authorization: `Bearer ${resident.key}` },
  });
  assert.equal(response.status, 200);
  return (await response.json()) as SeedMailList;
}

async function rawHashes(dataDir: string, resident: Resident, ids: readonly number[]): Promise<string[]> {
  await using store = await openStore(dataDir);
  const user = await store.findUser(resident.address);
  const hashes: string[] = [];
  for (const id of ids) {
    const mail = await store.readMail({ userId: user?.id ?? 0, id, mailboxIds: null, nowMs: Date.now() });
    hashes.push(mail === null ? "absent" : sha256(mail.raw));
  }
  return hashes;
}

function skipWithout(program: string): string | false {
  return spawnSync(program, ["--version"]).error === undefined ? false : `${program} is not installed`;
}
