import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, request as httpRequest } from "node:http";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { callApi, exchange } from "./support/api-client.ts";
import { House, type Person } from "./support/house.ts";
import { readMetric } from "./support/metric-reader.ts";
import { until } from "./support/until.ts";

describe("every answer wears the envelope, the framework's own refusals as well", () => {
  let house: House;
  let demo: Person;
  before(async () => {
    house = await House.open();
    demo = await house.addPerson("demo");
  });
  after(() => house[Symbol.asyncDispose]());

  async function answer(path: string, init: RequestInit = {}) {
    const response = await fetch(house.origin + path, init);
    return { status: response.status, headers: response.headers, body: (await response.json()) as { code: string } };
  }

  for (const [what, path, status, code] of [
    ["an unknown path", "/api/foo", 404, "not_found"],
    ["an unknown path elsewhere", "/foo", 404, "not_found"],
    ["a path that only begins alike", "/apis", 404, "not_found"],
    ["a path that does not decode", "/api/%zz", 400, "malformed_request"],
    ["a query that does not decode", "/api?key=%e0%a4", 400, "invalid_parameter"],
  ] as const) {
    test(`${what} is ${status} ${code}`, async () => {
      const { body, ...rest } = await answer(path);
      assert.equal(rest.status, status);
      assert.deepEqual({ ...body, error: "" }, { success: false, error: "", code });
    });
  }

  for (const [what, bytes, status, code] of [
    ["no HTTP", "EHLO mail\r\n\r\n", 400, "malformed_request"],
    [
      "a URL that is too long",
      `GET /api?mail=${"x".repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
      431,
      "headers_too_large",
    ],
    ["a method nobody knows", "BREW /api HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed_request"],
    [
      "a method that is not offered",
      "PROPFIND /api HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
      405,
      "method_not_allowed",
    ],
    [
      "two lengths",
      "POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      400,
      "malformed_request",
    ],
    [
      "a body larger than it may be",
      `POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 999999\r\n\r\n`,
      413,
      "body_too_large",
    ],
    [
      "an upgrade where there is none",
      "GET /api HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
      404,
      "not_found",
    ],
  ] as const) {
    test(`${what} is ${status} ${code}`, async () => {
      const [head = "", body = ""] = (await exchange(house.origin, bytes)).split("\r\n\r\n");
      assert.match(head, new RegExp(`^HTTP/1\\.1 ${status} `));
      assert.equal((JSON.parse(body) as { code: string }).code, code);
      assert.equal((JSON.parse(body) as { success: boolean }).success, false);
    });
  }

  test("a client that offers HTTP/2 is answered as one that does not", async () => {
    const head = "Host: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk";
    const answered = await exchange(house.origin, `GET /livez HTTP/1.1\r\n${head}\r\n\r\n`);
    assert.match(answered, /^HTTP\/1\.1 200 /);
  });

  test("a body that is cut off harms nobody and is no fault of ours", async () => {
    const socket = connect(house.http.address.port, "127.0.0.1");
    socket.end("POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nmail");
    socket.resume();
    await once(socket, "close");
    assert.equal(
      house.lines.some((line) => line.includes('"level":50')),
      false,
    );
  });

  test("any page may read an answer, with a key of its own and no credentials", async () => {
    const preflight = await fetch(`${house.origin}/api`, {
      method: "OPTIONS",
      headers: {
        origin: "https://example.com",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
      },
    });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get("access-control-allow-origin"), "*");
    assert.equal(preflight.headers.get("access-control-allow-methods"), "GET, HEAD, POST, OPTIONS");
    assert.equal(preflight.headers.get("access-control-allow-headers"), "Authorization, Content-Type");
    assert.equal(preflight.headers.get("access-control-max-age"), "86400");
    const query = `mail=${demo.address}&key=${demo.key}`;
    const spelled = await fetch(`${house.origin}/%61pi?${query}`);
    assert.deepEqual([spelled.status, spelled.headers.get("cache-control")], [200, "no-store"]);
    await spelled.body?.cancel();
    for (const path of [`/api?${query}`, "/api", "/api/foo"]) {
      const { headers } = await answer(path, { headers: { origin: "https://example.com" } });
      assert.equal(headers.get("access-control-allow-origin"), "*");
      assert.equal(headers.get("access-control-allow-credentials"), null);
      assert.equal(headers.get("cache-control"), "no-store");
      assert.equal(headers.get("x-content-type-options"), "nosniff");
    }
    const metrics = await fetch(`${house.origin}/metrics`);
    assert.equal(metrics.headers.get("access-control-allow-origin"), null);
    await metrics.body?.cancel();
  });

  test("health and metrics need no key", async () => {
    for (const [path, text] of [
      ["/livez", /^ok\n$/],
      ["/readyz", /^ok\n$/],
      ["/metrics", /^catmails_http_requests_total\{status="200"\}/m],
      ["/", /\/api/],
    ] as const) {
      const response = await fetch(house.origin + path);
      assert.equal(response.status, 200);
      assert.match(await response.text(), text);
    }
    assert.ok((await readMetric(house.metrics.httpRequests, "404")) >= 3);
  });

  test("it is not ready when the store is not, nor when asking fails", async () => {
    for (const isReady of [() => false, () => Promise.reject(new Error("disk"))]) {
      await using unready = await House.open({ isReady });
      const response = await fetch(`${unready.origin}/readyz`);
      assert.deepEqual([response.status, await response.text()], [503, "not ready\n"]);
    }
  });

  test("whoever asks whether it is ready, the store is asked once a second", async () => {
    let asked = 0;
    let answer = Promise.withResolvers<boolean>();
    const isReady = (): Promise<boolean> => {
      asked++;
      return answer.promise;
    };
    await using quiet = await House.open({ isReady });
    const ask = async (): Promise<number> => (await fetch(`${quiet.origin}/readyz`, { method: "HEAD" })).status;
    const waiting = Array.from({ length: 20 }, ask);
    await until("the store is asked", async () => asked > 0);
    answer.resolve(true);
    assert.deepEqual(new Set(await Promise.all(waiting)), new Set([200]));
    assert.equal(asked, 1);
    answer = Promise.withResolvers<boolean>();
    answer.resolve(false);
    await until("the answer is old", async () => (await ask()) === 503);
    assert.equal(asked, 2);
  });

  test("a fault of ours is 500 with an incident id, under which the log has the error", async () => {
    await using broken = await House.open({
      formatTime: () => {
        throw new TypeError(`cannot format ${demo.key}`);
      },
    });
    const person = await broken.addPerson("demo");
    await broken.put(person);
    const { status, body } = await callApi(broken.origin, { mail: person.address, key: person.key });
    const { incident, ...rest } = body as { incident: string };
    assert.deepEqual([status, rest], [500, { success: false, error: "Internal error", code: "internal" }]);
    assert.match(incident, /^[0-9a-f-]{36}$/);
    const line = broken.lines.find((text) => text.includes(incident)) ?? "";
    assert.match(line, /"level":50.*TypeError.*cannot format mk_\[redacted\]/);
    assert.equal(line.includes(demo.key), false);
  });

  test("a stop answers what is in flight, closes idle connections at once, and resolves when all are closed", async () => {
    await using stopping = await House.open();
    const person = await stopping.addPerson("demo");
    const agent = new Agent({ keepAlive: true });
    const kept = httpRequest(`${stopping.origin}/livez`, { agent }).end();
    const [response] = (await once(kept, "response")) as [NodeJS.ReadableStream];
    response.resume();
    await once(response, "end");
    const silent = connect(stopping.http.address.port, "127.0.0.1");
    const slow = connect(stopping.http.address.port, "127.0.0.1");
    slow.write(
      `POST /api?key=${person.key} HTTP/1.1\r\nHost: a\r\nContent-Length: ${person.address.length + 5}\r\n\r\nmail`,
    );
    let answered = "";
    slow.on("data", (chunk: Buffer) => (answered += chunk.toString()));
    silent.resume();
    await Promise.all([once(silent, "connect"), once(slow, "connect")]);
    // The stop begins once the server has seen the request.
    const seen = fetch(`${stopping.origin}/livez`);
    await (await seen).text();
    const drained = stopping.http.drain(60_000);
    await once(silent, "close");
    slow.write(`=${person.address}`);
    await once(slow, "close");
    assert.match(answered, /^HTTP\/1\.1 200 .*connection: close/is);
    assert.match(answered, /\{"success":true,"count":0,"data":\[\]\}$/);
    await drained;
    agent.destroy();
  });

  test("a stop cuts what is not done in time", async () => {
    await using stopping = await House.open();
    const socket = connect(stopping.http.address.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write("POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    await (await fetch(`${stopping.origin}/livez`)).text();
    socket.resume();
    await Promise.all([stopping.http.drain(50), once(socket, "close")]);
  });
});
