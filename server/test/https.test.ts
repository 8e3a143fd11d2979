import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { request, type RequestOptions } from "node:https";
import { connect as connectPlain } from "node:net";
import { after, describe, test } from "node:test";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import type { SeedMailList } from "@catmails/client";
import { skipWithoutOpenssl } from "./support/certificate-maker.ts";
import { House, type HouseOptions } from "./support/house.ts";
import { followers, readMetric } from "./support/metric-reader.ts";
import { openSocket } from "./support/socket-client.ts";
import { fingerprintOf, TlsPlace } from "./support/tls-place.ts";
import { until } from "./support/until.ts";

const skip = skipWithoutOpenssl();

interface Answer {
  status: number | undefined;
  headers: NodeJS.Dict<string | string[]>;
  text: string;
}

describe("HTTPS", { skip }, async () => {
  if (skip !== false) return;
  const place = new TlsPlace();
  const pair = place.add(["mx.test"]);
  const encryption = await place.open();
  after(async () => {
    await encryption[Symbol.asyncDispose]();
    place[Symbol.dispose]();
  });
  const open = (options: HouseOptions = {}): Promise<House> =>
    House.open({ https: { encryption, isStrict: false }, ...options });

  async function get(url: string, options: RequestOptions = {}): Promise<Answer> {
    const asked = request(url, { agent: false, rejectUnauthorized: false, ...options }).end();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    let text = "";
    for await (const chunk of response) text += String(chunk);
    return { status: response.statusCode, headers: response.headers, text };
  }

  async function connectTo(house: House, options: ConnectionOptions = {}, allowHalfOpen = false): Promise<TLSSocket> {
    const port = house.http.secureAddress?.port ?? 0;
    const plain = connectPlain({ port, host: "127.0.0.1", allowHalfOpen });
    await once(plain, "connect");
    const socket = connect({ socket: plain, rejectUnauthorized: false, ...options });
    socket.on("error", () => undefined);
    await once(socket, "secureConnect");
    return socket;
  }

  test("serves the same as HTTP, beside it", async () => {
    await using house = await open();
    const ann = await house.addPerson("ann");
    await house.put(ann, { subject: "Over TLS" });
    for (const origin of [house.origin, house.secureOrigin]) {
      const url = `${origin}/api?mail=${ann.address}&key=${ann.key}`;
      const { status, text } = origin.startsWith("https")
        ? await get(url)
        : await fetch(url).then(async (answer) => ({ status: answer.status, text: await answer.text() }));
      assert.equal(status, 200);
      assert.equal((JSON.parse(text) as SeedMailList).data[0]?.subject, "Over TLS");
    }
    assert.equal(await readMetric(house.metrics.tlsHandshakes, "https"), 1);
  });

  test("shows a certificate that a client can check", async () => {
    await using house = await open();
    const ca = readFileSync(place.maker.rootFile);
    const checked = { ca, rejectUnauthorized: true, servername: "mx.test", headers: { host: "mx.test" } };
    assert.equal((await get(`${house.secureOrigin}/livez`, checked)).status, 200);
    await assert.rejects(get(`${house.secureOrigin}/livez`, { ...checked, servername: "other.test" }), /altnames/);
  });

  test("pushes new mail over wss", async () => {
    await using house = await open();
    const ann = await house.addPerson("ann");
    using socket = await openSocket(house.secureOrigin, { key: ann.key }, { rejectUnauthorized: false });
    await followers(house, 1);
    await house.put(ann, { subject: "Pushed", content: "x".repeat(400_000) });
    assert.equal((await socket.next()).subject, "Pushed");
  });

  test("keeps a connection for several requests, and answers a client that has ended its side", async () => {
    await using house = await open();
    const socket = await connectTo(house, { ALPNProtocols: ["h2", "http/1.1"] }, true);
    assert.equal(socket.alpnProtocol, "http/1.1");
    let text = "";
    socket.on("data", (chunk: Buffer) => (text += String(chunk)));
    socket.write("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    await until("it is answered", () => text.includes("HTTP/1.1 200"));
    socket.end("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    await once(socket, "close");
    assert.equal(text.match(/HTTP\/1\.1 200/g)?.length, 2);
  });

  test("tells browsers to come with TLS only where it was asked to, and never over HTTP", async () => {
    await using strict = await open({ https: { encryption, isStrict: true } });
    await using lax = await open();
    const header = "strict-transport-security";
    for (const path of ["/livez", "/nowhere"]) {
      assert.equal((await get(`${strict.secureOrigin}${path}`)).headers[header], "max-age=15552000");
      assert.equal((await fetch(`${strict.origin}${path}`)).headers.get(header), null);
      assert.equal((await get(`${lax.secureOrigin}${path}`)).headers[header], undefined);
    }
  });

  test("refuses TLS 1.1, a client that speaks another protocol, and plain HTTP", async () => {
    await using house = await open();
    const tooOld = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
    await assert.rejects(connectTo(house, tooOld), /protocol version/);
    await assert.rejects(connectTo(house, { ALPNProtocols: ["h2"] }), /no application protocol/);
    await assert.rejects(fetch(house.secureOrigin.replace("https", "http")));
    assert.equal((await get(`${house.secureOrigin}/livez`)).status, 200);
  });

  test("stops in order: answers what is in flight, says goodbye to sockets, drops who has not shaken hands", async () => {
    await using house = await open();
    const ann = await house.addPerson("ann");
    using socket = await openSocket(house.secureOrigin, { key: ann.key }, { rejectUnauthorized: false });
    const waiting = get(`${house.secureOrigin}/api?mail=${ann.address}&key=${ann.key}&wait=50`);
    await followers(house, 2);
    const idle = await connectTo(house);
    const idleClosed = once(idle.resume(), "close");
    const silent = connectPlain(house.http.secureAddress?.port ?? 0, "127.0.0.1");
    const silentClosed = once(silent.on("error", () => undefined).resume(), "close");
    await once(silent, "connect");
    await house.http.drain(10_000);
    assert.equal((await waiting).status, 503);
    assert.equal((await socket.closed).code, 1001);
    await Promise.all([idleClosed, silentClosed]);
    await assert.rejects(connectTo(house), /ECONNREFUSED/);
  });

  test("is cut at once when stopping may take no time", async () => {
    await using house = await open();
    const ann = await house.addPerson("ann");
    const waiting = get(`${house.secureOrigin}/api?mail=${ann.address}&key=${ann.key}&wait=50`);
    const broken = assert.rejects(waiting);
    await followers(house, 1);
    await house.http[Symbol.asyncDispose]();
    await broken;
  });

  test("answers an authority that checks a name by TLS-ALPN-01, and nobody else with it", async () => {
    await using house = await open();
    const challenge = place.maker.make(["checked.test"]);
    const ask = { servername: "checked.test", ALPNProtocols: ["acme-tls/1"] };
    await assert.rejects(connectTo(house, ask), /no application protocol/);
    encryption.setChallenge("checked.test", { certPem: challenge.chain, keyPem: challenge.key });
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      const authority = await connectTo(house, { ...ask, maxVersion });
      assert.equal(authority.alpnProtocol, "acme-tls/1");
      assert.equal(authority.getPeerCertificate().fingerprint256, fingerprintOf(challenge));
      await once(authority.resume(), "close");
      const client = await connectTo(house, { servername: "checked.test", ALPNProtocols: ["http/1.1"], maxVersion });
      assert.equal(client.getPeerCertificate().fingerprint256, fingerprintOf(pair));
      client.destroy();
    }
    await assert.rejects(connectTo(house, { ...ask, servername: "other.test" }), /no application protocol/);
    encryption.setChallenge("checked.test", null);
    await assert.rejects(connectTo(house, ask), /no application protocol/);
  });
});
