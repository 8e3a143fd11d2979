import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { callApi, exchange } from "./support/api-client.ts";
import { House, type Person } from "./support/house.ts";
import { until } from "./support/until.ts";

const mebibyte = 1024 * 1024;

describe("a client that asks and does not read costs little", () => {
  let house: House;
  let demo: Person;
  before(async () => {
    house = await House.open();
    demo = await house.addPerson("demo");
    await house.put(demo, { content: "x".repeat(8 * mebibyte) });
  });
  after(() => house[Symbol.asyncDispose]());

  /** A connection that sends these bytes and reads nothing. */
  async function deaf(bytes: string): Promise<Socket> {
    const socket = connect(house.http.address.port, "127.0.0.1");
    socket.pause();
    await once(socket, "connect");
    socket.write(bytes);
    return socket;
  }

  function listing(): string {
    return `GET /api?mail=${demo.address}&key=${demo.key} HTTP/1.1\r\nHost: a\r\n\r\n`;
  }

  async function listStatus(person: Person): Promise<number> {
    return (await callApi(house.origin, { mail: person.address }, { key: person.key, method: "HEAD" })).status;
  }

  test("pipelined requests are answered one after the other, so that unread answers do not pile up", async () => {
    const before = process.memoryUsage().rss;
    const socket = await deaf(listing().repeat(80));
    for (let i = 0; i < 3; i++) assert.equal(await listStatus(demo), 200);
    const grown = process.memoryUsage().rss - before;
    socket.destroy();
    assert.ok(grown < 200 * mebibyte, `80 requests without reading cost ${Math.round(grown / mebibyte)} MiB`);
  });

  test("more than 100 requests waiting on one connection are refused, in order", async () => {
    const request = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
    const answers = await exchange(
      house.origin,
      request.repeat(149) + request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"),
    );
    const statuses = [...answers.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => Number(status));
    assert.deepEqual(
      statuses,
      Array.from({ length: 150 }, (_, index) => (index < 101 ? 200 : 429)),
    );
    assert.equal(answers.match(/"code":"too_many_answers"/g)?.length, 49);
  });

  test("64 MiB of unread lists are enough for one user; another is not held up, and reading makes room", async () => {
    const other = await house.addPerson("other");
    const sockets = await Promise.all(Array.from({ length: 9 }, () => deaf(listing())));
    await until("a list is refused", async () => (await listStatus(demo)) === 429);
    const { headers, body } = await callApi(house.origin, { mail: demo.address }, { key: demo.key });
    assert.equal((body as { code: string }).code, "too_many_answers");
    assert.equal(headers.get("retry-after"), "5");
    assert.equal(await listStatus(other), 200);
    for (const socket of sockets) socket.destroy();
    await until("there is room again", async () => (await listStatus(demo)) === 200);
  });
});
