import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { callApi, listMails } from "./support/api-client.ts";
import { domain, House, type Person } from "./support/house.ts";
import { codeOf, post, postMail, rawMails } from "./support/ingest-client.ts";
import { openSocket } from "./support/socket-client.ts";
import { until } from "./support/until.ts";

const mail = "From: Cat <cat@example.com>\r\nSubject: Code\r\n\r\nYour code is 482913\r\n";

describe("POST /v1/ingest takes a mail as SMTP does", () => {
  let house: House;
  let ann: Person;
  let bob: Person;
  let key: string;
  before(async () => {
    house = await House.open();
    ann = await house.addPerson("ann");
    bob = await house.addPerson("bob");
    ({ key } = await house.addKey(ann, { ingest: "own" }));
  });
  after(() => house[Symbol.asyncDispose]());

  test("a mail is stored byte for byte, pushed and listed, with envelope and tag", async () => {
    using socket = await openSocket(house.origin, { key: ann.key });
    const bytes = Buffer.concat([Buffer.from(mail), Buffer.from([0, 0x80, 0xff, 0x0d, 0x41, 0x0d, 0x0a])]);
    const answer = await postMail(
      house.origin,
      { from: "bounce@example.com", to: "ann+shop@mails.test" },
      { key, body: bytes },
    );
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.body.success && answer.body.recipients, [{ mail: `ann+shop@${domain}`, stored: true }]);
    assert.equal((await socket.next()).to, `ann+shop@${domain}`);
    assert.equal((await rawMails(house, ann.userId)).at(-1), bytes.toString("latin1"));
    const [listed] = (await listMails(house.origin, { mail: `ann+shop@${domain}` }, { key: ann.key })).data;
    assert.deepEqual([listed?.mail_from, listed?.subject], ["cat@example.com", "Code"]);
    const stored = await house.store.readMail({
      userId: ann.userId,
      id: listed?.id ?? 0,
      mailboxIds: null,
      nowMs: Date.now(),
    });
    assert.equal(stored?.envelopeFrom, "bounce@example.com");
  });

  test("lines that end with LF get CRLF, a missing last line end is added, nothing else changes", async () => {
    const answer = await postMail(house.origin, { to: ann.address }, { key, body: "Subject: x\n\na\r\n.\nb\rc" });
    assert.equal(answer.status, 200);
    assert.equal((await rawMails(house, ann.userId)).at(-1), "Subject: x\r\n\r\na\r\n.\r\nb\rc\r\n");
  });

  test("each recipient has an outcome; those who cannot have it keep nobody else from it", async () => {
    const alias = await house.addAlias(ann, `alias@${domain}`);
    const to = `${ann.address},nobody@${domain},x@elsewhere.test,not an address,alias@${domain},${ann.address}`;
    const before = (await rawMails(house, ann.userId)).length;
    const answer = await postMail(house.origin, { to }, { key, body: mail });
    assert.equal(answer.status, 200);
    const outcomes = answer.body.success ? answer.body.recipients : [];
    assert.deepEqual(
      outcomes.map((one) => [one.mail, one.stored ? "stored" : one.code]),
      [
        [ann.address, "stored"],
        [`nobody@${domain}`, "unknown_mailbox"],
        ["x@elsewhere.test", "foreign_domain"],
        ["not an address", "unknown_mailbox"],
        [alias.address, "stored"],
        [ann.address, "stored"],
      ],
    );
    assert.equal((await rawMails(house, ann.userId)).length, before + 2);
  });

  test("to may be repeated, and a key may come as a parameter or as the password of Basic", async () => {
    const query = `to=${ann.address}&to=alias@${domain}`;
    const basic = `Basic ${Buffer.from(`anything:${key}`).toString("base64")}`;
    for (const [path, headers] of [
      [`?${query}&key=${key}`, {}],
      [`?${query}`, { authorization: basic }],
    ] as const) {
      const { status, body } = await post(house.origin, path, { body: Buffer.from(mail), headers });
      assert.equal(status, 200);
      assert.equal(body.success && body.recipients.length, 2);
    }
  });

  for (const [what, query, body, status, code] of [
    ["no recipient", {}, mail, 400, "invalid_parameter"],
    ["a sender that is no address", { to: `ann@${domain}`, from: "cat" }, mail, 400, "invalid_parameter"],
    ["more recipients than SMTP takes", { to: `ann@${domain},`.repeat(101) }, mail, 400, "invalid_parameter"],
    ["no mail", { to: `ann@${domain}` }, "", 422, "raw_missing"],
    ["a mailbox that is not there", { to: `nobody@${domain}` }, mail, 404, "unknown_mailbox"],
    ["a foreign domain", { to: "ann@elsewhere.test" }, mail, 403, "foreign_domain"],
    ["a mail in a loop", { to: `ann@${domain}` }, "Received: x\r\n".repeat(101) + mail, 422, "mail_looping"],
    [
      "a mail that grows too large with its line ends",
      { to: `ann@${domain}` },
      "\n".repeat(140_000),
      413,
      "mail_too_large",
    ],
    ["a mail that is too large", { to: `ann@${domain}` }, "x".repeat(300_000), 413, "mail_too_large"],
  ] as const) {
    test(`${what} is answered ${status} ${code}, and nothing is stored`, async () => {
      const before = (await rawMails(house, ann.userId)).length;
      const answer = await postMail(house.origin, query, { key, body });
      assert.deepEqual([answer.status, codeOf(answer)], [status, code]);
      assert.equal((await rawMails(house, ann.userId)).length, before);
    });
  }

  test("a form is refused, since its ampersands would tear the mail, and so is a packed body", async () => {
    const type = { "content-type": "application/x-www-form-urlencoded" };
    const form = await postMail(house.origin, { to: ann.address }, { key, body: mail, headers: type });
    assert.deepEqual([form.status, codeOf(form)], [415, "unsupported_body"]);
    const packed = await postMail(
      house.origin,
      { to: ann.address },
      { key, body: mail, headers: { "content-encoding": "gzip" } },
    );
    assert.equal(codeOf(packed), "unsupported_body");
  });

  test("only POST is offered, in the envelope", async () => {
    const response = await fetch(`${house.origin}/v1/ingest`);
    assert.deepEqual([response.status, response.headers.get("allow")], [405, "POST"]);
    assert.equal(((await response.json()) as { code: string }).code, "method_not_allowed");
  });

  test("providers that need a secret are not there without it", async () => {
    for (const path of ["/mailgun/mime", "/ses"]) {
      assert.equal((await post(house.origin, path, { body: "{}" })).status, 404);
    }
  });

  describe("with the keys that are for it", () => {
    const send = async (by: string, to: string) => {
      const answer = await postMail(house.origin, { to }, { key: by, body: mail });
      return codeOf(answer);
    };

    test("a key reaches the mailboxes of its user; those of others look like none", async () => {
      const answers = [];
      for (const to of [bob.address, `nobody@${domain}`]) {
        const { status, body } = await postMail(house.origin, { to }, { key, body: mail });
        answers.push([status, JSON.stringify(body).replaceAll(to, "")]);
      }
      assert.deepEqual(answers[0], answers[1]);
      assert.equal((await rawMails(house, bob.userId)).length, 0);
    });

    test("a limited key reaches its mailboxes only, one for every mailbox reaches all", async () => {
      const { key: limited } = await house.addKey(bob, { ingest: "own", mailboxIds: [bob.mailboxId] });
      const extra = await house.addAlias(bob, `extra@${domain}`);
      assert.deepEqual([await send(limited, bob.address), await send(limited, extra.address)], ["", "unknown_mailbox"]);
      const { key: every } = await house.addKey(ann, { ingest: "every" });
      assert.deepEqual([await send(every, bob.address), await send(every, ann.address)], ["", ""]);
    });

    test("a key that reads may not hand in mail", async () => {
      for (const grant of [{}, { readOnly: true }]) {
        const reading = await house.addKey(ann, grant);
        assert.equal(await send(reading.key, ann.address), "ingest_key_required");
      }
    });

    test("a key for ingest reads nothing and changes nothing", async () => {
      const { key: every } = await house.addKey(ann, { ingest: "every" });
      for (const one of [key, every]) {
        for (const call of [
          callApi(house.origin, { mail: ann.address }, { key: one }),
          callApi(house.origin, { mail: ann.address, key: one }),
          callApi(house.origin, { action: "mailboxes" }, { key: one }),
          callApi(house.origin, { action: "create_temp_mailbox" }, { key: one, method: "POST" }),
        ]) {
          const { status, body } = await call;
          assert.deepEqual([status, (body as { code: string }).code], [403, "ingest_only_key"]);
        }
        using socket = await openSocket(house.origin, { key: one });
        assert.deepEqual(await socket.closed, { code: 4403, reason: "Mailbox scope is invalid" });
      }
    });

    test("no key, a wrong one, a revoked and an expired one are refused before the body is read", async () => {
      const revoked = await house.addKey(ann, { ingest: "own" });
      await house.revoke(revoked.key);
      const expired = await house.addKey(ann, { ingest: "own", expiresAtMs: Date.now() - 1 });
      for (const [given, code] of [
        [undefined, "missing_key"],
        ["mk_wrong", "invalid_key"],
        [revoked.key, "invalid_key"],
        [expired.key, "invalid_key"],
      ] as const) {
        const request = httpRequest(`${house.origin}/v1/ingest?to=${ann.address}`, {
          method: "POST",
          headers: { "content-length": "1000", ...(given === undefined ? {} : { authorization: `Bearer ${given}` }) },
        });
        request.on("error", () => undefined).flushHeaders();
        const [response] = (await once(request, "response")) as [NodeJS.ReadableStream & { statusCode: number }];
        assert.equal(response.statusCode, 401);
        assert.equal((JSON.parse(await text(response)) as { code: string }).code, code);
        request.destroy();
      }
    });
  });
});

describe("what posts may cost is bounded", () => {
  test("a full mailbox is told apart from a fault, and tried again", async () => {
    await using house = await House.open({ quotaBytes: 1000 });
    const ann = await house.addPerson("ann");
    const bob = await house.addPerson("bob");
    const { key } = await house.addKey(ann, { ingest: "every" });
    await postMail(house.origin, { to: ann.address }, { key, body: "x".repeat(950) });
    const full = await postMail(house.origin, { to: ann.address }, { key, body: "x".repeat(100) });
    assert.deepEqual([full.status, codeOf(full), full.headers.get("retry-after")], [503, "mailbox_full", "60"]);
    const never = await postMail(house.origin, { to: ann.address }, { key, body: "x".repeat(2000) });
    assert.deepEqual([never.status, codeOf(never)], [413, "mail_never_fits"]);
    const both = await postMail(house.origin, { to: `${ann.address},${bob.address}` }, { key, body: "x".repeat(100) });
    assert.deepEqual(both.body.success && both.body.recipients, [
      { mail: ann.address, stored: false, code: "mailbox_full", error: "Mailbox is full", temporary: true },
      { mail: bob.address, stored: true },
    ]);
    const own = await house.addKey(bob, { ingest: "own" });
    const foreign = await postMail(house.origin, { to: ann.address }, { key: own.key, body: "x".repeat(100) });
    assert.equal(codeOf(foreign), "unknown_mailbox", "whose mailbox is full is nobody else's business");
  });

  test("a fault of the store is temporary, and nothing is there; the same post is taken once it works", async () => {
    let isBroken = true;
    await using house = await House.open({
      wrapStore: (store) =>
        new Proxy(store, {
          get: (target, name) => {
            const value = Reflect.get(target, name, target) as unknown;
            if (name === "commit" && isBroken) return () => Promise.reject(new Error("the disk is gone"));
            return typeof value === "function" ? (value.bind(target) as unknown) : value;
          },
        }),
    });
    const ann = await house.addPerson("ann");
    const { key } = await house.addKey(ann, { ingest: "own" });
    const failed = await postMail(house.origin, { to: ann.address }, { key, body: mail });
    assert.deepEqual([failed.status, codeOf(failed)], [500, "internal"]);
    isBroken = false;
    assert.equal((await postMail(house.origin, { to: ann.address }, { key, body: mail })).status, 200);
    assert.equal((await rawMails(house, ann.userId)).length, 1);
  });

  test("bodies that wait share one budget: what does not fit is 503, and room comes back", async () => {
    await using house = await House.open({ ingest: { maxBufferedBytes: 100_000 } });
    const ann = await house.addPerson("ann");
    const { key } = await house.addKey(ann, { ingest: "own" });
    const path = `/v1/ingest?to=${ann.address}`;
    const slow = connect(house.http.address.port, "127.0.0.1").on("error", () => undefined);
    slow.write(`POST ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\nContent-Length: 45000\r\n\r\n`);
    slow.write("x".repeat(40_000));
    const send = () => postMail(house.origin, { to: ann.address }, { key, body: "x".repeat(20_000) });
    await until("a post finds no room", async () => codeOf(await send()) === "no_room");
    slow.destroy();
    await until("there is room again", async () => (await send()).status === 200);
  });

  test("who drips is cut with 408 and leaves nothing; who is slow and honest gets through", async () => {
    await using house = await House.open({ ingest: { graceMs: 1500 } });
    const ann = await house.addPerson("ann");
    const { key } = await house.addKey(ann, { ingest: "own" });
    const slowly = async (piece: string, pieces: number): Promise<string> => {
      const socket = connect(house.http.address.port, "127.0.0.1").on("error", () => undefined);
      socket.write(`POST /v1/ingest?to=${ann.address} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n`);
      socket.write(`Authorization: Bearer ${key}\r\nContent-Length: ${piece.length * pieces}\r\n\r\n`);
      let left = pieces;
      const sending = setInterval(() => left-- > 0 && socket.write(piece), 100);
      const answer = await text(socket);
      clearInterval(sending);
      return answer;
    };
    const [drip, honest] = await Promise.all([slowly("x", 1000), slowly("x".repeat(10_000), 20)]);
    assert.match(drip, /^HTTP\/1\.1 408 /);
    assert.match(drip, /"code":"request_timeout"/);
    assert.match(honest, /^HTTP\/1\.1 200 /);
    assert.equal((await rawMails(house, ann.userId)).length, 1);
  });

  test("who is refused and goes on sending for ever is cut as well", async () => {
    await using house = await House.open({ ingest: { graceMs: 400 } });
    const socket = connect(house.http.address.port, "127.0.0.1").on("error", () => undefined);
    socket.write("POST /v1/ingest?to=x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    const sending = setInterval(() => socket.write("x"), 50);
    const startedMs = performance.now();
    const answer = await text(socket).catch(() => "");
    clearInterval(sending);
    assert.match(answer, /^HTTP\/1\.1 401 /);
    assert.ok(performance.now() - startedMs < 20_000);
  });

  test("who leaves in the middle leaves nothing behind", async () => {
    await using house = await House.open({ ingest: { maxBufferedBytes: 50_000 } });
    const ann = await house.addPerson("ann");
    const { key } = await house.addKey(ann, { ingest: "own" });
    for (let round = 0; round < 5; round++) {
      const leaving = connect(house.http.address.port, "127.0.0.1").on("error", () => undefined);
      leaving.write(`POST /v1/ingest?to=${ann.address} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\n`);
      leaving.write(`Content-Length: 30000\r\n\r\n${"x".repeat(20_000)}`);
      await once(leaving, "connect");
      leaving.destroy();
    }
    const send = () => postMail(house.origin, { to: ann.address }, { key, body: "x".repeat(20_000) });
    await until("there is room again", async () => (await send()).status === 200);
    assert.equal((await rawMails(house, ann.userId)).length, 1);
  });

  test("while the server stops, posts are told to come again", async () => {
    await using house = await House.open();
    const ann = await house.addPerson("ann");
    const { key } = await house.addKey(ann, { ingest: "own" });
    await house.http.drainIngest(1000);
    const refused = await postMail(house.origin, { to: ann.address }, { key, body: mail });
    assert.deepEqual([refused.status, codeOf(refused)], [503, "unavailable"]);
    assert.ok(refused.headers.get("retry-after"));
  });
});
