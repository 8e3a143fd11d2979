import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { readSnsMessage } from "../src/http/ingest/sns-message.ts";
import { House, type Person } from "./support/house.ts";
import { codeOf, post, rawMails, type PostAnswer } from "./support/ingest-client.ts";
import { sesNotification, snsCertificateName, snsPost, snsTopic, type ReadyPost } from "./support/provider-posts.ts";
import { selfSigned } from "./support/self-signed.ts";
import { directoryFor } from "./support/temporary-directory.ts";
import { until } from "./support/until.ts";

const raw = "Subject: Code\r\n\r\n482913 \xe4\xff\r\n";
const day = 86_400_000;
const certificate = selfSigned("sns.amazonaws.com", { fromMs: Date.now() - day, toMs: Date.now() + day });
const certificateUrl = `https://sns.us-west-2.amazonaws.com/${snsCertificateName}`;
const subscribeUrl = `https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&TopicArn=${snsTopic}&Token=2336412f37`;

/** A house that knows the certificate, and every URL that it asked for. */
async function openHouse(
  fetchCertificate?: (url: string) => Promise<string>,
): Promise<{ house: House; asked: string[] }> {
  const asked: string[] = [];
  const fetching = async (url: string): Promise<string> => {
    asked.push(url);
    return await (fetchCertificate?.(url) ?? Promise.resolve(certificate.pem));
  };
  return { house: await House.open({ ingest: { sesTopics: [snsTopic], fetchCertificate: fetching } }), asked };
}

const send = (house: House, ready: ReadyPost): Promise<PostAnswer> => post(house.origin, "/ses", ready);

describe("Amazon SES over SNS", () => {
  let house: House;
  let asked: string[];
  let ann: Person;
  before(async () => {
    ({ house, asked } = await openHouse());
    ann = await house.addPerson("ann");
  });
  after(() => house[Symbol.asyncDispose]());

  const mailPost = (fields: Record<string, string> = {}, forged: Record<string, string> = {}): ReadyPost =>
    snsPost(
      certificate.privateKey,
      {
        Message: sesNotification({
          to: [ann.address],
          content: Buffer.from(raw, "latin1").toString("base64"),
          encoding: "BASE64",
        }),
        ...fields,
      },
      forged,
    );

  test("no post waits for a certificate: the first is told to come again, and is taken then", async () => {
    const ready = mailPost();
    const first = await send(house, ready);
    assert.deepEqual([first.status, codeOf(first)], [503, "unavailable"]);
    assert.ok(first.headers.get("retry-after"));
    await until("the certificate is there", async () => (await send(house, ready)).status === 200);
    assert.deepEqual(asked, [certificateUrl]);
    assert.deepEqual(await rawMails(house, ann.userId), [raw]);
  });

  for (const version of ["1", "2"]) {
    test(`signature version ${version}, with and without a subject, counts once`, async () => {
      for (const more of [{}, { Subject: "Amazon SES Email Receipt Notification" }]) {
        const stored = (await rawMails(house, ann.userId)).length;
        const ready = mailPost({ SignatureVersion: version, ...more });
        assert.equal((await send(house, ready)).status, 200);
        const again = await send(house, ready);
        assert.deepEqual([again.status, codeOf(again)], [409, "post_replayed"]);
        assert.equal((await rawMails(house, ann.userId)).length, stored + 1);
      }
    });
  }

  test("a replay is one also when its subject is told as part of its id, which is signed by the same signature", async () => {
    const fields = { MessageId: "a1", Subject: "Amazon SES Email Receipt Notification" };
    const ready = mailPost(fields);
    assert.equal((await send(house, ready)).status, 200);
    const { Subject: _subject, ...recut } = JSON.parse(String(ready.body)) as Record<string, string>;
    recut["MessageId"] = `${fields.MessageId}\nSubject\n${fields.Subject}`;
    const again = await send(house, { ...ready, body: Buffer.from(JSON.stringify(recut)) });
    assert.equal(codeOf(again), "invalid_signature");
  });

  test("content is read as the action says: UTF-8 or Base64", async () => {
    const content = "Subject: K\u00e4se\n\nx\n";
    const stored = (await rawMails(house, ann.userId)).length;
    for (const [text, encoding] of [
      [content, undefined],
      [content, "UTF8"],
      [Buffer.from(content).toString("base64"), "BASE64"],
    ] as const) {
      const Message = sesNotification({
        to: [ann.address],
        content: text,
        ...(encoding === undefined ? {} : { encoding }),
      });
      assert.equal((await send(house, mailPost({ Message }))).status, 200);
    }
    const expected = Buffer.from(content.replaceAll("\n", "\r\n")).toString("latin1");
    assert.deepEqual((await rawMails(house, ann.userId)).slice(stored), [expected, expected, expected]);
  });

  test("forged, altered, old and strange posts are refused, and nothing is stored or asked for", async () => {
    const stored = (await rawMails(house, ann.userId)).length;
    const stranger = selfSigned("sns.amazonaws.com", { fromMs: Date.now() - day, toMs: Date.now() + day });
    const cases: [string, ReadyPost, string][] = [
      [
        "another key",
        snsPost(stranger.privateKey, { Message: sesNotification({ to: [ann.address], content: raw }) }),
        "invalid_signature",
      ],
      [
        "another message",
        mailPost({}, { Message: sesNotification({ to: [ann.address], content: "forged" }) }),
        "invalid_signature",
      ],
      ["another id", mailPost({}, { MessageId: "another" }), "invalid_signature"],
      ["another time", mailPost({}, { Timestamp: new Date(0).toISOString() }), "invalid_signature"],
      ["a subject put in", mailPost({}, { Subject: "x" }), "invalid_signature"],
      ["another version", mailPost({}, { SignatureVersion: "2" }), "invalid_signature"],
      ["an unknown version", mailPost({ SignatureVersion: "3" }), "invalid_signature"],
      ["no signature", mailPost({}, { Signature: "" }), "invalid_signature"],
      ["another topic", mailPost({ TopicArn: "arn:aws:sns:us-west-2:999999999999:MyTopic" }), "invalid_signature"],
      ["an old time", mailPost({ Timestamp: new Date(Date.now() - 3 * 3_600_000).toISOString() }), "signature_expired"],
      ["no time", mailPost({ Timestamp: "yesterday" }), "signature_expired"],
      ["another type", mailPost({ Type: "Other" }), "invalid_body"],
    ];
    for (const url of [
      "https://evil.test/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem",
      `http://sns.us-west-2.amazonaws.com/${snsCertificateName}`,
      `https://sns.us-west-2.amazonaws.com.evil.test/${snsCertificateName}`,
      `https://sns.us-west-2.amazonaws.com@evil.test/${snsCertificateName}`,
      `https://sns.us-east-1.amazonaws.com/${snsCertificateName}`,
      `https://sns.us-west-2.amazonaws.com:8443/${snsCertificateName}`,
      `https://sns.us-west-2.amazonaws.com/../${snsCertificateName}`,
      `https://sns.us-west-2.amazonaws.com/${snsCertificateName}?x`,
      "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription",
      "https://s3.us-west-2.amazonaws.com/bucket/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem",
      "",
    ]) {
      cases.push([`the certificate at ${url}`, mailPost({ SigningCertURL: url }), "invalid_signature"]);
    }
    for (const [what, ready, code] of cases) assert.equal(codeOf(await send(house, ready)), code, what);
    assert.equal((await rawMails(house, ann.userId)).length, stored);
    assert.deepEqual(asked, [certificateUrl]);
  });

  test("a subscription is confirmed by nobody but the operator, who finds the link in the log", async () => {
    const confirmation = {
      Type: "SubscriptionConfirmation",
      Message: "You have chosen to subscribe",
      Token: "2336412f37",
    };
    const answer = await send(house, snsPost(certificate.privateKey, { ...confirmation, SubscribeURL: subscribeUrl }));
    assert.equal(answer.status, 200);
    assert.equal(house.lines.filter((line) => line.includes("ConfirmSubscription&TopicArn")).length, 1);
    const elsewhere = await send(
      house,
      snsPost(certificate.privateKey, { ...confirmation, SubscribeURL: "https://evil.test/?" }),
    );
    assert.equal(elsewhere.status, 200);
    const forged = snsPost(
      certificate.privateKey,
      { ...confirmation, SubscribeURL: subscribeUrl },
      { SubscribeURL: "https://evil.test/" },
    );
    assert.equal(codeOf(await send(house, forged)), "invalid_signature");
    assert.equal(
      house.lines.some((line) => line.includes("evil.test")),
      false,
    );
    assert.deepEqual(asked, [certificateUrl]);
  });

  test("what is no mail is acknowledged, a mail without its content is not", async () => {
    const stored = (await rawMails(house, ann.userId)).length;
    for (const Message of [
      "Successfully validated SNS topic",
      JSON.stringify({ notificationType: "AMAZON_SES_SETUP_NOTIFICATION" }),
    ]) {
      assert.equal((await send(house, mailPost({ Message }))).status, 200);
    }
    const missing = await send(house, mailPost({ Message: sesNotification({ to: [ann.address] }) }));
    assert.deepEqual([missing.status, codeOf(missing)], [422, "raw_missing"]);
    assert.equal((await rawMails(house, ann.userId)).length, stored);
  });
});

describe("the certificates of SNS", () => {
  test("the text that is signed is the one of the documentation", () => {
    const message = readSnsMessage({
      Type: "Notification",
      MessageId: "4d4dc071-ddbf-465d-bba8-08f81c89da64",
      TopicArn: "arn:aws:sns:us-east-2:123456789012:s4-MySNSTopic-1G1WEFCOXTC0P",
      Subject: "My subject",
      Message: "My Test Message",
      Timestamp: "2019-01-31T04:37:04.321Z",
    });
    const lines = [
      ["Message", "My Test Message"],
      ["MessageId", "4d4dc071-ddbf-465d-bba8-08f81c89da64"],
      ["Subject", "My subject"],
      ["Timestamp", "2019-01-31T04:37:04.321Z"],
      ["TopicArn", "arn:aws:sns:us-east-2:123456789012:s4-MySNSTopic-1G1WEFCOXTC0P"],
      ["Type", "Notification"],
    ];
    assert.equal(message.signedText, `${lines.flat().join("\n")}\n`);
  });

  const mailFor = (ann: Person, privateKey = certificate.privateKey): ReadyPost =>
    snsPost(privateKey, { Message: sesNotification({ to: [ann.address], content: raw }) });

  test("with a directory nothing is ever fetched: what is not there is 503, and said in the log", async (t) => {
    const directory = directoryFor(t);
    const fetchCertificate = (): Promise<string> => Promise.reject(new Error("fetched after all"));
    await using house = await House.open({
      ingest: { sesTopics: [snsTopic], sesCertificateDirectory: directory, fetchCertificate },
    });
    const ann = await house.addPerson("ann");
    const missing = await send(house, mailFor(ann));
    assert.deepEqual([missing.status, codeOf(missing)], [503, "unavailable"]);
    assert.ok(house.lines.some((line) => line.includes("not in the directory") && line.includes(certificateUrl)));
    writeFileSync(join(directory, snsCertificateName), certificate.pem);
    assert.equal((await send(house, mailFor(ann))).status, 200);
    assert.equal(
      house.lines.some((line) => line.includes("fetched after all")),
      false,
    );
  });

  test("a certificate that is over counts no more", async () => {
    const old = selfSigned("sns.amazonaws.com", { fromMs: Date.now() - 2 * day, toMs: Date.now() - day });
    const { house } = await openHouse(() => Promise.resolve(old.pem));
    await using _ = house;
    const ann = await house.addPerson("ann");
    await until("it is there", async () => (await send(house, mailFor(ann, old.privateKey))).status !== 503);
    assert.equal(codeOf(await send(house, mailFor(ann, old.privateKey))), "invalid_signature");
  });

  test("one fetch runs at a time, none follows a failed one at once, and posts never wait for it", async () => {
    const { promise, reject } = Promise.withResolvers<string>();
    const { house, asked } = await openHouse(() => promise);
    await using _ = house;
    const ann = await house.addPerson("ann");
    for (let round = 0; round < 5; round++) assert.equal((await send(house, mailFor(ann))).status, 503);
    reject(new Error("no route"));
    await until("the failure is logged", () => house.lines.some((line) => line.includes("no route")));
    for (let round = 0; round < 5; round++) assert.equal((await send(house, mailFor(ann))).status, 503);
    assert.equal(asked.length, 1);
  });

  test("what is fetched and is no certificate is a failure", async () => {
    const { house } = await openHouse(() => Promise.resolve("<html>"));
    await using _ = house;
    const ann = await house.addPerson("ann");
    await send(house, mailFor(ann));
    await until("it is logged", () => house.lines.some((line) => line.includes("could not be fetched")));
    assert.equal((await send(house, mailFor(ann))).status, 503);
  });
});
