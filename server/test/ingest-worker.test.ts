import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { domain, House, type Person } from "./support/house.ts";
import { rawMails } from "./support/ingest-client.ts";

/** What Cloudflare hands to a worker, as far as it is used. */
interface EmailMessage {
  from: string;
  to: string;
  raw: ReadableStream<Uint8Array>;
  rawSize: number;
  headers: Headers;
  setReject(reason: string): void;
}

interface EmailWorker {
  email(message: EmailMessage, env: { INGEST_URL: string; INGEST_KEY: string }): Promise<void>;
}

const script = new URL("../../deploy/cloudflare-email-worker/worker.js", import.meta.url);
const raw = "From: cat@example.com\r\nSubject: Code\r\n\r\n482913 \xe4\r\n";

/** A message whose bytes come in small pieces; `rejected` says what the sender was told. */
function message(to: string, text = raw): EmailMessage & { rejected: string[] } {
  const bytes = Buffer.from(text, "latin1");
  const pieces = Array.from({ length: Math.ceil(bytes.length / 1000) }, (_, at) =>
    bytes.subarray(at * 1000, (at + 1) * 1000),
  );
  const rejected: string[] = [];
  return {
    from: "bounce+1@example.com",
    to,
    raw: ReadableStream.from(pieces),
    rawSize: bytes.length,
    headers: new Headers(),
    setReject: (reason) => void rejected.push(reason),
    rejected,
  };
}

describe("the Cloudflare email worker", () => {
  let house: House;
  let ann: Person;
  let worker: EmailWorker;
  let env: { INGEST_URL: string; INGEST_KEY: string };
  before(async () => {
    ({ default: worker } = (await import(script.href)) as { default: EmailWorker });
    house = await House.open({ quotaBytes: 100_000 });
    ann = await house.addPerson("ann");
    const { key } = await house.addKey(ann, { ingest: "every" });
    env = { INGEST_URL: `${house.origin}/v1/ingest`, INGEST_KEY: key };
  });
  after(() => house[Symbol.asyncDispose]());

  test("hands a mail over byte for byte, with its envelope", async () => {
    const mail = message(`ann+tag@${domain}`);
    await worker.email(mail, env);
    assert.deepEqual(mail.rejected, []);
    assert.deepEqual(await rawMails(house, ann.userId), [raw]);
    const [listed] = await house.store.listMails({
      userId: ann.userId,
      filters: null,
      order: "newest",
      limit: 1,
      maxChars: 1e6,
      nowMs: Date.now(),
    });
    assert.equal(listed?.mailTo, `ann+tag@${domain}`);
    const stored = await house.store.readMail({
      userId: ann.userId,
      id: listed?.id ?? 0,
      mailboxIds: null,
      nowMs: Date.now(),
    });
    assert.equal(stored?.envelopeFrom, "bounce+1@example.com");
  });

  for (const [what, to, text, reason] of [
    ["a mailbox that is not there", `nobody@${domain}`, raw, "No such mailbox here"],
    ["a domain that is not served", "ann@elsewhere.test", raw, "Domain is not served here, no relaying"],
    ["a mail that is too large", `ann@${domain}`, "x".repeat(300_000), "Mail is too large"],
    [
      "a mail in a loop",
      `ann@${domain}`,
      `${"Received: x\r\n".repeat(101)}\r\n`,
      "Mail is looping, too many Received fields",
    ],
  ] as const) {
    test(`${what} is rejected for good`, async () => {
      const mail = message(to, text);
      await worker.email(mail, env);
      assert.deepEqual(mail.rejected, [reason]);
    });
  }

  test("whatever may be over the next time is thrown, so that the sender tries again", async () => {
    const full = await house.addPerson("full");
    await worker.email(message(full.address, "x".repeat(99_000)), env);
    const reading = await house.addKey(ann);
    const cases: [string, EmailMessage & { rejected: string[] }, typeof env][] = [
      ["a full mailbox", message(full.address, "x".repeat(2000)), env],
      ["a wrong key", message(ann.address), { ...env, INGEST_KEY: "mk_wrong" }],
      ["a key that reads", message(ann.address), { ...env, INGEST_KEY: reading.key }],
      ["a wrong path", message(ann.address), { ...env, INGEST_URL: `${house.origin}/v1/nowhere` }],
      ["nobody there", message(ann.address), { ...env, INGEST_URL: "http://127.0.0.1:9/v1/ingest" }],
    ];
    for (const [what, mail, given] of cases) {
      await assert.rejects(worker.email(mail, given), Error, what);
      assert.deepEqual(mail.rejected, [], what);
    }
  });

  test("a redirect or an answer of something else is no delivery", async () => {
    for (const [status, headers] of [
      [302, { location: `${house.origin}/livez` }],
      [200, {}],
      [204, {}],
      [404, {}],
      [502, {}],
    ] as const) {
      const proxy = createServer((request, response) =>
        request.resume().on("end", () => response.writeHead(status, headers).end()),
      );
      proxy.listen(0, "127.0.0.1");
      await once(proxy, "listening");
      const mail = message(ann.address);
      const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/v1/ingest`;
      await assert.rejects(worker.email(mail, { ...env, INGEST_URL: url }), /Cat Mails answered/);
      assert.deepEqual(mail.rejected, []);
      proxy.closeAllConnections();
      proxy.close();
    }
  });
});
