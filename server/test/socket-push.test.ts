import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { listMails } from "./support/api-client.ts";
import { domain, House, type Person } from "./support/house.ts";
import { followers } from "./support/metric-reader.ts";
import { openSocket, SocketClient } from "./support/socket-client.ts";

describe("what is stored is pushed, once and in order", () => {
  let house: House;
  let names = 0;
  before(async () => {
    house = await House.open({ maxFollowersPerUser: 20 });
  });
  after(() => house[Symbol.asyncDispose]());

  const newPerson = (): Promise<Person> => house.addPerson(`person${++names}`);

  test("mail that is stored after a socket opened is pushed to it, and a GET finds it at once", async () => {
    const person = await newPerson();
    for (let i = 1; i <= 50; i++) {
      using socket = await openSocket(house.origin, { key: person.key });
      const stored = house.put(person, { subject: `mail ${i}` });
      const pushed = await socket.next();
      const { data } = await listMails(house.origin, { mail: person.address, key: person.key, limit: "1" });
      assert.deepEqual([pushed.id, pushed.subject], [i, `mail ${i}`]);
      assert.equal(data[0]?.id, i);
      assert.equal(await stored, i);
    }
  });

  test("without since only new mail is pushed, with since=0 all of it", async () => {
    const person = await newPerson();
    await house.put(person);
    await house.put(person);
    using fresh = await openSocket(house.origin, { key: person.key });
    using replay = await openSocket(house.origin, { key: person.key, since: "0" });
    await house.put(person);
    assert.equal((await fresh.next()).id, 3);
    for (const id of [1, 2, 3]) assert.equal((await replay.next()).id, id);
  });

  test("a since beyond the last mail is the last mail", async () => {
    const person = await newPerson();
    using socket = await openSocket(house.origin, { key: person.key, since: "999999" });
    await house.put(person);
    assert.equal((await socket.next()).id, 1);
  });

  test("mail= filters by several addresses and tags, also in a replay", async () => {
    const person = await newPerson();
    const alias = await house.addAlias(person, `alias-${person.address}`);
    const tag = (name: string): string => person.address.replace("@", `+${name}@`);
    const putAll = async (): Promise<void> => {
      for (const to of [person, { ...person, address: tag("ci") }, { ...person, address: tag("shop") }, alias])
        await house.put(to);
    };
    await putAll();
    const query = { key: person.key, mail: `${tag("ci")},${alias.address}`, since: "0" };
    using socket = await openSocket(house.origin, query);
    using all = await openSocket(house.origin, { key: person.key, since: "0" });
    await putAll();
    for (const to of [tag("ci"), alias.address, tag("ci"), alias.address]) assert.equal((await socket.next()).to, to);
    for (let id = 1; id <= 8; id++) assert.equal((await all.next()).id, id);
  });

  test("a socket without mail= is pushed the mail of a mailbox that is made later", async () => {
    const person = await newPerson();
    using socket = await openSocket(house.origin, { key: person.key });
    const alias = await house.addAlias(person, `later-${person.address}`);
    await house.put(alias);
    assert.equal((await socket.next()).to, alias.address);
  });

  test("cut off at random and back with the last id, a client sees each of 2,000 mails once and in order", async () => {
    const person = await newPerson();
    const total = 2000;
    const writing = (async () => {
      for (let i = 0; i < total; i += 20) await Promise.all(Array.from({ length: 20 }, () => house.put(person)));
    })();
    const seen: number[] = [];
    let cuts = 0;
    while (seen.length < total) {
      using socket = new SocketClient(house.origin, { key: person.key, since: String(seen.at(-1) ?? 0) });
      const take = Math.min(1 + Math.floor(Math.random() * 40), total - seen.length);
      for (let i = 0; i < take; i++) seen.push((await socket.next()).id);
      cuts++;
    }
    await writing;
    assert.deepEqual(
      seen,
      Array.from({ length: total }, (_, i) => i + 1),
    );
    assert.ok(cuts >= 50);
    await followers(house, 0);
  });

  test("many sockets of one user are all pushed the same", async () => {
    const person = await newPerson();
    const sockets = await Promise.all(Array.from({ length: 20 }, () => openSocket(house.origin, { key: person.key })));
    await Promise.all(Array.from({ length: 100 }, () => house.put(person)));
    for (const socket of sockets) {
      using open = socket;
      for (let id = 1; id <= 100; id++) assert.equal((await open.next()).id, id);
    }
    await followers(house, 0);
  });

  for (const [what, options] of [
    ["/", {}],
    ["/ws", { path: "/ws" }],
    [
      "any path on a host that begins with websocket.",
      { path: "/any/where", headers: { host: "websocket.mails.test" } },
    ],
  ] as const) {
    test(`a socket opens at ${what}`, async () => {
      const person = await newPerson();
      using socket = await openSocket(house.origin, { key: person.key }, options);
      await house.put(person);
      assert.equal((await socket.next()).to, person.address);
    });
  }

  test("elsewhere an upgrade is 404", async () => {
    using socket = new SocketClient(house.origin, {}, { path: "/api" });
    const [, response] = (await once(socket.ws, "unexpected-response")) as [unknown, { statusCode: number }];
    assert.equal(response.statusCode, 404);
  });

  test(
    "an upgrade behind an unanswered request is an ordinary request, answered in its turn",
    { timeout: 10_000 },
    async () => {
      const { address, key } = await newPerson();
      const list = `GET /api?mail=${address}&key=${key}&wait=0.1 HTTP/1.1\r\nHost: a\r\n\r\n`;
      const fields = ["Host: a", "Upgrade: websocket", "Connection: Upgrade, close", "Sec-WebSocket-Version: 13"];
      const secret = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
      const upgrade = [`GET /ws?key=${key} HTTP/1.1`, ...fields, secret, "\r\n"].join("\r\n");
      const connection = connect(house.http.address.port, "127.0.0.1");
      connection.write(list + upgrade);
      const answers = await text(connection);
      assert.deepEqual(answers.match(/HTTP\/1\.1 \d+/g), ["HTTP/1.1 200", "HTTP/1.1 404"]);
    },
  );

  test("a key may come in a Bearer header, and beats the parameter", async () => {
    const person = await newPerson();
    const headers = { authorization: `Bearer ${person.key}` };
    using socket = await openSocket(house.origin, { key: "mk_wrong" }, { headers });
    await house.put(person);
    assert.equal((await socket.next()).id, 1);
  });

  describe("a refused socket completes its handshake and is closed at once with the error, without a frame", () => {
    let person: Person;
    before(async () => {
      person = await newPerson();
      await house.put(person);
    });
    const rows: [
      string,
      () => ConstructorParameters<typeof SocketClient>[1],
      number,
      string,
      Record<string, string>?,
    ][] = [
      ["no key", () => ({}), 4401, "Missing key"],
      ["a bad key", () => ({ key: "mk_wrong" }), 4401, "Invalid key"],
      ["a bad Bearer key", () => ({ key: person.key }), 4401, "Invalid API key", { authorization: "Bearer mk_wrong" }],
      [
        "a mailbox that is not there",
        () => ({ key: person.key, mail: `absent@${domain}` }),
        4403,
        "Mailbox scope is invalid",
      ],
      [
        "one of two that is not there",
        () => ({ key: person.key, mail: `${person.address},x@y` }),
        4403,
        "Mailbox scope is invalid",
      ],
      [
        "a bad since",
        () => ({ key: person.key, since: "-1" }),
        4400,
        "Invalid parameter: since is not a whole number of at least 0",
      ],
      ["a query that does not decode", () => "key=%zz", 4400, "Invalid parameter: malformed percent-encoding"],
    ];
    for (const [what, query, code, reason, headers] of rows) {
      test(`${what}: ${code} ${reason}`, async () => {
        const given = query();
        const search = typeof given === "string" ? given : { since: "0", ...given };
        using socket = new SocketClient(house.origin, search, headers === undefined ? {} : { headers });
        await socket.opened;
        assert.deepEqual(await socket.closed, { code, reason });
        assert.deepEqual(socket.waiting, []);
      });
    }

    test("one socket too many: 1013 Too many open waits and sockets", async () => {
      const open = await Promise.all(Array.from({ length: 20 }, () => openSocket(house.origin, { key: person.key })));
      using socket = new SocketClient(house.origin, { key: person.key });
      assert.deepEqual(await socket.closed, { code: 1013, reason: "Too many open waits and sockets" });
      for (const one of open) one[Symbol.dispose]();
      await followers(house, 0);
    });

    test("a handshake that is none leaves nothing behind", async () => {
      const headers = {
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "short",
      };
      const asked = request(`${house.origin}/?key=${person.key}`, { headers }).end();
      const [response] = (await once(asked, "response")) as [{ statusCode: number; resume(): void }];
      response.resume();
      assert.equal(response.statusCode, 400);
      await followers(house, 0);
    });
  });
});
