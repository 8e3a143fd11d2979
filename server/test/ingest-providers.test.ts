import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { isMailgunSignature } from "../src/http/ingest/mailgun.ts";
import { isSendgridSignature, sendgridPublicKey } from "../src/http/ingest/sendgrid.ts";
import { domain, House, type Person } from "./support/house.ts";
import { codeOf, post, rawMails } from "./support/ingest-client.ts";
import {
  mailgunFields,
  multipart,
  postmarkDocument,
  sendgridFields,
  signedBySendgrid,
  urlEncoded,
  type ReadyPost,
} from "./support/provider-posts.ts";

// Bytes that are no UTF-8: a raw mail must come through whatever is in it.
const raw = "Subject: Code\r\nContent-Type: text/plain; charset=latin1\r\n\r\nK\xe4se & 482913=%41+\r\n\x00\xff\r\n";
const hourSeconds = 3600;
const nowSeconds = (): number => Math.floor(Date.now() / 1000);

describe("Mailgun", () => {
  const signingKey = "key-3ax6xnjp29jd6fds4gc373sgvjxteol0";
  let house: House;
  let ann: Person;
  before(async () => {
    house = await House.open({ quotaBytes: 4000, ingest: { mailgunSigningKey: signingKey } });
    ann = await house.addPerson("ann");
  });
  after(() => house[Symbol.asyncDispose]());
  const send = (ready: ReadyPost) => post(house.origin, "/mailgun/mime", ready);

  for (const [what, form] of [
    ["multipart", multipart],
    ["URL-encoded", urlEncoded],
  ] as const) {
    test(`a signed ${what} form is taken byte for byte, once`, async () => {
      const ready = form(mailgunFields(signingKey, { to: ann.address, raw }));
      const stored = (await rawMails(house, ann.userId)).length;
      assert.equal((await send(ready)).status, 200);
      assert.deepEqual((await rawMails(house, ann.userId)).slice(stored), [raw]);
      const again = await send(ready);
      // 406 is the one status after which Mailgun gives up.
      assert.deepEqual([again.status, codeOf(again)], [406, "post_replayed"]);
      assert.equal((await rawMails(house, ann.userId)).length, stored + 1);
    });
  }

  test("forged, altered, replayed and old posts are refused, and nothing is stored", async () => {
    const stored = (await rawMails(house, ann.userId)).length;
    const fields = mailgunFields(signingKey, { to: ann.address, raw });
    const other = mailgunFields("another-key", { to: ann.address, raw });
    const old = mailgunFields(signingKey, { to: ann.address, raw, timestamp: nowSeconds() - 13 * hourSeconds });
    const early = mailgunFields(signingKey, { to: ann.address, raw, timestamp: nowSeconds() + hourSeconds });
    for (const [given, code] of [
      [other, "invalid_signature"],
      [{ ...fields, token: `${fields["token"]}0` }, "invalid_signature"],
      [{ ...fields, timestamp: String(nowSeconds() + 1) }, "invalid_signature"],
      [{ ...fields, signature: "" }, "invalid_signature"],
      [{ ...fields, signature: "0".repeat(64) }, "invalid_signature"],
      [{ "body-mime": raw, recipient: ann.address }, "invalid_signature"],
      [old, "signature_expired"],
      [early, "signature_expired"],
    ] as const) {
      const answer = await send(multipart(given));
      assert.deepEqual([answer.status, codeOf(answer)], [401, code]);
    }
    // A token counts once, whatever it is put in front of.
    assert.equal((await send(multipart(fields))).status, 200);
    const altered = await send(multipart({ ...fields, "body-mime": "Subject: forged\r\n\r\n" }));
    assert.equal(codeOf(altered), "post_replayed");
    assert.equal((await rawMails(house, ann.userId)).length, stored + 1);
  });

  test("a mail that nobody here gets is given up, one for a full mailbox is tried again with the same token", async () => {
    const nobody = await send(multipart(mailgunFields(signingKey, { to: `nobody@${domain}`, raw })));
    assert.deepEqual([nobody.status, codeOf(nobody)], [406, "unknown_mailbox"]);
    const bob = await house.addPerson("bob");
    const eve = await house.addPerson("eve");
    const big = `Subject: big\r\n\r\n${"x".repeat(3000)}\r\n`;
    await send(multipart(mailgunFields(signingKey, { to: bob.address, raw: big })));
    const ready = multipart(mailgunFields(signingKey, { to: `${bob.address},${eve.address}`, raw: big }));
    for (let round = 0; round < 2; round++) {
      const waiting = await send(ready);
      assert.deepEqual([waiting.status, codeOf(waiting)], [503, "mailbox_full"]);
      assert.equal((await rawMails(house, eve.userId)).length, 1, "who has it does not get it again");
    }
    await house.store.trimMails({ userId: bob.userId, beforeMs: Date.now() + 1000, maxCount: 0, limit: 9 });
    assert.equal((await send(ready)).status, 200);
    assert.deepEqual([await rawMails(house, bob.userId), await rawMails(house, eve.userId)], [[big], [big]]);
    assert.equal(codeOf(await send(ready)), "post_replayed");
  });

  test("a parsed message, a doubled field and what is no form are refused", async () => {
    const { "body-mime": _, ...parsed } = mailgunFields(signingKey, { to: ann.address, raw });
    assert.equal(codeOf(await send(multipart({ ...parsed, "body-plain": "text" }))), "raw_missing");
    const doubled = multipart(mailgunFields(signingKey, { to: ann.address, raw }));
    const twice = doubled.body
      .toString("latin1")
      .replace("--xYzZY\r\n", '--xYzZY\r\nContent-Disposition: form-data; name="recipient"\r\n\r\nx\r\n--xYzZY\r\n');
    assert.equal(codeOf(await send({ ...doubled, body: Buffer.from(twice, "latin1") })), "invalid_body");
    assert.equal(codeOf(await send({ ...doubled, body: Buffer.from("--xYzZY\r\n") })), "invalid_body");
    assert.equal(
      codeOf(await send({ headers: { "content-type": "application/json" }, body: Buffer.from("{}") })),
      "unsupported_body",
    );
  });

  test("the signature is that of the documentation: HMAC-SHA256 of timestamp and token, in hexadecimal", () => {
    const [timestamp, token] = ["1529006854", "a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0"];
    const signature = createHmac("sha256", signingKey)
      .update("1529006854a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0")
      .digest("hex");
    assert.equal(isMailgunSignature(signingKey, { timestamp, token, signature }), true);
    assert.equal(isMailgunSignature(signingKey, { timestamp, token, signature: signature.toUpperCase() }), true);
    // The one that is printed there was made with a key of their own.
    const printed = "d2271d12299f6592d9d44cd9d250f0704e4674c30d79d07c47a66f95ce71cf55";
    assert.equal(isMailgunSignature(signingKey, { timestamp, token, signature: printed }), false);
  });
});

describe("SendGrid", () => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  let house: House;
  let ann: Person;
  before(async () => {
    const shown = publicKey.export({ type: "spki", format: "der" }).toString("base64");
    house = await House.open({ ingest: { sendgridPublicKey: shown } });
    ann = await house.addPerson("ann");
  });
  after(() => house[Symbol.asyncDispose]());
  const send = (ready: ReadyPost) => post(house.origin, "/sendgrid", ready);

  test("the published example verifies, and no altered one", () => {
    // From SendGrid's own libraries; the signed text ends with CRLF.
    const key = sendgridPublicKey(
      "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==",
    );
    const signature =
      "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=";
    const event = {
      email: "hello@world.com",
      event: "dropped",
      reason: "Bounced Address",
      sg_event_id: "ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",
      sg_message_id: "LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",
      "smtp-id": "<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>",
      timestamp: 1_600_112_492,
    };
    const body = Buffer.from(`${JSON.stringify([event])}\r\n`);
    const timestamp = "1600112502";
    assert.equal(isSendgridSignature(key, { timestamp, signature, body }), true);
    assert.equal(isSendgridSignature(key, { timestamp: "1600112503", signature, body }), false);
    assert.equal(isSendgridSignature(key, { timestamp, signature, body: body.subarray(0, -2) }), false);
    assert.equal(isSendgridSignature(publicKey, { timestamp, signature, body }), false);
    assert.equal(isSendgridSignature(key, { timestamp, signature: "no signature", body }), false);
  });

  test("a signed post goes to everybody in its envelope, byte for byte, once", async () => {
    const bob = await house.addPerson("bob");
    const ready = signedBySendgrid(multipart(sendgridFields({ to: [ann.address, bob.address], raw })), privateKey);
    assert.equal((await send(ready)).status, 200);
    assert.deepEqual([await rawMails(house, ann.userId), await rawMails(house, bob.userId)], [[raw], [raw]]);
    assert.equal(codeOf(await send(ready)), "post_replayed");
    // Signing is random, so a replay could bring another good signature of the same post.
    const timestamp = Number(ready.headers["x-twilio-email-event-webhook-timestamp"]);
    assert.equal(codeOf(await send(signedBySendgrid(ready, privateKey, timestamp))), "post_replayed");
    assert.equal((await rawMails(house, ann.userId)).length, 1);
  });

  test("forged, altered and old posts are refused, also with an ingest key", async () => {
    const stored = (await rawMails(house, ann.userId)).length;
    const ready = multipart(sendgridFields({ to: [ann.address], raw }));
    const signed = signedBySendgrid(ready, privateKey);
    const stranger = generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey;
    const { key } = await house.addKey(ann, { ingest: "every" });
    for (const [given, code] of [
      [ready, "invalid_signature"],
      [{ ...ready, headers: { ...ready.headers, authorization: `Bearer ${key}` } }, "invalid_signature"],
      [signedBySendgrid(ready, stranger), "invalid_signature"],
      [{ ...signed, body: Buffer.concat([signed.body, Buffer.from(" ")]) }, "invalid_signature"],
      [signedBySendgrid(ready, privateKey, nowSeconds() - 97 * hourSeconds), "signature_expired"],
    ] as const) {
      const answer = await send(given);
      assert.deepEqual([answer.status, codeOf(answer)], [401, code]);
    }
    assert.equal((await rawMails(house, ann.userId)).length, stored);
  });

  test("without a public key the post brings an ingest key, which says whom it reaches", async () => {
    await using plain = await House.open();
    const person = await plain.addPerson("ann");
    const bob = await plain.addPerson("bob");
    const { key } = await plain.addKey(person, { ingest: "own" });
    const ready = multipart(sendgridFields({ to: [person.address, bob.address], raw }));
    assert.equal(codeOf(await post(plain.origin, "/sendgrid", ready)), "missing_key");
    const taken = await post(plain.origin, `/sendgrid?key=${key}`, ready);
    assert.equal(taken.status, 200);
    assert.deepEqual([await rawMails(plain, person.userId), await rawMails(plain, bob.userId)], [[raw], []]);
    const nobody = multipart(sendgridFields({ to: [], raw }));
    assert.equal(codeOf(await post(plain.origin, `/sendgrid?key=${key}`, nobody)), "invalid_parameter");
    const parsed = multipart({ text: "parsed", envelope: "{}" });
    assert.equal(codeOf(await post(plain.origin, `/sendgrid?key=${key}`, parsed)), "raw_missing");
  });
});

describe("Postmark", () => {
  const text = "Subject: Code\r\n\r\nK\u00e4se 482913\r\n";
  let house: House;
  let ann: Person;
  let authorization: string;
  before(async () => {
    house = await House.open();
    ann = await house.addPerson("ann");
    const { key } = await house.addKey(ann, { ingest: "own" });
    authorization = `Basic ${Buffer.from(`postmark:${key}`).toString("base64")}`;
  });
  after(() => house[Symbol.asyncDispose]());
  const send = (document: unknown, { query = "", by = authorization } = {}) =>
    post(house.origin, `/postmark${query}`, {
      headers: { "content-type": "application/json", authorization: by },
      body: JSON.stringify(document),
    });

  test("the documented example is taken with its raw mail, lines ended by CRLF, once", async () => {
    const document = postmarkDocument({ to: `ann+tag@${domain}`, raw: text.replaceAll("\r\n", "\n") });
    const answer = await send(document);
    assert.deepEqual(answer.body.success && answer.body.recipients, [{ mail: `ann+tag@${domain}`, stored: true }]);
    assert.deepEqual(await rawMails(house, ann.userId), [Buffer.from(text).toString("latin1")]);
    const stored = await house.store.readMail({ userId: ann.userId, id: 1, mailboxIds: null, nowMs: Date.now() });
    assert.equal(stored?.envelopeFrom, "bounce@example.com");
    const again = await send(document);
    // 403 is the one status after which Postmark gives up.
    assert.deepEqual([again.status, codeOf(again)], [403, "post_replayed"]);
    assert.equal((await rawMails(house, ann.userId)).length, 1);
  });

  test("its own address is replaced by the one in the webhook's URL", async () => {
    const document = postmarkDocument({ to: "yourhash@inbound.postmarkapp.com", raw: text });
    const refused = await send(document);
    assert.deepEqual([refused.status, codeOf(refused)], [403, "foreign_domain"]);
    assert.equal((await send(document, { query: `?to=${ann.address}` })).status, 200);
  });

  test("a forged post is refused, and no refusal of a key looks final to Postmark", async () => {
    const reading = await house.addKey(ann);
    const document = postmarkDocument({ to: ann.address, raw: text });
    for (const [by, code] of [
      ["", "missing_key"],
      [`Basic ${Buffer.from("postmark:mk_wrong").toString("base64")}`, "invalid_key"],
      [`Basic ${Buffer.from(`postmark:${reading.key}`).toString("base64")}`, "ingest_key_required"],
    ] as const) {
      const answer = await send(document, { by });
      assert.deepEqual([answer.status, codeOf(answer)], [401, code]);
    }
  });

  test("without the raw mail, without an id and without JSON nothing is taken", async () => {
    const { RawEmail: _raw, ...withoutRaw } = postmarkDocument({ to: ann.address, raw: text });
    assert.equal(codeOf(await send(withoutRaw)), "raw_missing");
    const { MessageID: _id, ...withoutId } = postmarkDocument({ to: ann.address, raw: text });
    assert.equal(codeOf(await send(withoutId)), "invalid_body");
    assert.equal(codeOf(await send([])), "invalid_body");
  });

  test("a document of more values than mails have is refused before anything is made of them", async () => {
    const document = postmarkDocument({ to: ann.address, raw: `${text}${",[{".repeat(40_000)}` });
    assert.equal((await send(document)).status, 200, "what a text holds is no value");
    for (const value of [{}, "", []]) {
      const more = { ...postmarkDocument({ to: ann.address, raw: text }), Attachments: Array(100_001).fill(value) };
      assert.equal(codeOf(await send(more)), "invalid_body");
    }
  });
});
