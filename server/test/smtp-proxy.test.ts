import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { loadConfig } from "../src/config.ts";
import { NetworkSet } from "../src/network.ts";
import { mutate } from "./support/hostile-mails.ts";
import { checkProxyHeader, readInPieces } from "./support/proxy-check.ts";
import { binaryAddresses, binaryHeader, clientHeader, vector } from "./support/proxy-headers.ts";
import { Random } from "./support/random.ts";
import { SmtpClient } from "./support/smtp-client.ts";
import { MemoryIntake, openDoor, type DoorOptions } from "./support/smtp-door.ts";
import { until } from "./support/until.ts";

const to = "demo@ours.example";
const longIp = "2001:0db8:0000:0001:0000:0000:0000:0007";
const behindLoopback: DoorOptions = { proxyPeers: ["127.0.0.0/8"] };
const oneMail = `EHLO x\r\nMAIL FROM:<s@there.example>\r\nRCPT TO:<${to}>\r\nBDAT 1 LAST\r\nx`;

/** The right one below was reckoned by another program, whose check value for "123456789" is E3069283. */
const checksum = (sum: number): Buffer => {
  const value = Buffer.alloc(4);
  value.writeUInt32BE(sum);
  return vector(0x03, value);
};

const none = Buffer.alloc(0);
const v4 = binaryAddresses("192.0.2.7", "198.51.100.1");

/** What is sent, and what it says: a client, the proxy itself (""), or nothing that can be believed. */
const headers: [name: string, bytes: Buffer | string, ip: string | null][] = [
  ["v1 IPv4", "PROXY TCP4 192.0.2.7 198.51.100.1 56324 25\r\n", "192.0.2.7"],
  ["v1 IPv6", "PROXY TCP6 2001:DB8:0:1:0:0:0:7 ::1 0 65535\r\n", "2001:db8:0:1::7"],
  ["v1 unknown", "PROXY UNKNOWN\r\n", ""],
  ["v1 unknown with addresses", `PROXY UNKNOWN ${"f".repeat(91)}\r\n`, ""],
  ["v1 too long", `PROXY UNKNOWN ${"f".repeat(92)}\r\n`, null],
  ["v1 without an end", `PROXY TCP4 ${"1".repeat(200)}`, null],
  ["v1 with LF", `PROXY TCP4 192.0.2.7 198.51.100.1 56324 25\n${"x".repeat(80)}`, null],
  ["v1 with two spaces", "PROXY TCP4  192.0.2.7 198.51.100.1 56324 25\r\n", null],
  ["v1 with a space at the end", "PROXY TCP4 192.0.2.7 198.51.100.1 56324 25 \r\n", null],
  ["v1 in lower case", "proxy TCP4 192.0.2.7 198.51.100.1 56324 25\r\n", null],
  ["v1 with families mixed", "PROXY TCP4 192.0.2.7 ::1 56324 25\r\n", null],
  ["v1 with the wrong family", "PROXY TCP6 192.0.2.7 198.51.100.1 56324 25\r\n", null],
  ["v1 with a zone", "PROXY TCP6 fe80::1%eth0 ::1 56324 25\r\n", null],
  ["v1 with a leading zero", "PROXY TCP4 192.0.2.07 198.51.100.1 56324 25\r\n", null],
  ["v1 with a port too high", "PROXY TCP4 192.0.2.7 198.51.100.1 65536 25\r\n", null],
  ["v1 with a port of 0 before", "PROXY TCP4 192.0.2.7 198.51.100.1 056 25\r\n", null],
  ["v1 with a port missing", "PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n", null],
  ["v1 with another transport", "PROXY UDP4 192.0.2.7 198.51.100.1 56324 25\r\n", null],
  ["v1 with a name of all objects", "PROXY constructor a b 1 2\r\n", null],
  ["v2 IPv4", clientHeader(2, "192.0.2.7"), "192.0.2.7"],
  ["v2 IPv6", clientHeader(2, longIp), "2001:db8:0:1::7"],
  ["v2 with vectors", clientHeader(2, "192.0.2.7", vector(0x02, Buffer.from("mx.test"))), "192.0.2.7"],
  ["v2 with a right checksum", clientHeader(2, "192.0.2.7", checksum(0xe3e9_b6fa)), "192.0.2.7"],
  ["v2 with a wrong checksum", clientHeader(2, "192.0.2.7", checksum(1)), null],
  ["v2 with a checksum of 3 octets", clientHeader(2, "192.0.2.7", vector(0x03, Buffer.alloc(3))), null],
  ["v2 with a vector too long", binaryHeader({ family: 0x11, rest: Buffer.concat([v4, Buffer.of(4, 0, 9, 1)]) }), null],
  ["v2 with half a vector", binaryHeader({ family: 0x11, rest: Buffer.concat([v4, Buffer.of(4, 0)]) }), null],
  ["v2 with addresses cut", binaryHeader({ family: 0x11, rest: v4.subarray(1) }), null],
  ["v2 local", binaryHeader({ command: 0x20, family: 0, rest: none }), ""],
  ["v2 local with anything", binaryHeader({ command: 0x20, family: 0xff, rest: Buffer.from("whatever") }), ""],
  ["v2 unspecified", binaryHeader({ family: 0, rest: none }), ""],
  ["v2 over UDP", binaryHeader({ family: 0x12, rest: v4 }), null],
  ["v2 over a Unix socket", binaryHeader({ family: 0x31, rest: Buffer.alloc(216) }), null],
  ["v2 with another command", binaryHeader({ command: 0x22, family: 0x11, rest: v4 }), null],
  ["v2 of another version", binaryHeader({ command: 0x11, family: 0x11, rest: v4 }), null],
  ["v2 as long as may be", binaryHeader({ command: 0x20, family: 0, rest: Buffer.alloc(4080) }), ""],
  ["v2 too long", binaryHeader({ command: 0x20, family: 0, rest: Buffer.alloc(4081) }), null],
  ["SMTP", "EHLO client.example\r\n", null],
  ["TLS", Buffer.from("16030100", "hex"), null],
];

test("a PROXY header of either version is read, or refused, cut in two at every byte and byte by byte", () => {
  for (const [name, given, ip] of headers) {
    const header = Buffer.from(given);
    const sent = Buffer.concat([header, Buffer.from("EHLO x\r\n")]);
    const expected = { ip, bytes: ip === null ? 0 : header.length };
    assert.deepEqual(readInPieces([sent]), expected, name);
    assert.deepEqual(readInPieces(Array.from(sent, (byte) => Buffer.of(byte))), expected, name);
    for (let at = 0; at <= sent.length; at++) {
      assert.deepEqual(readInPieces([sent.subarray(0, at), sent.subarray(at)]), expected, `${name}, cut at ${at}`);
    }
    if (ip === null) continue;
    for (let at = 0; at < header.length; at++) assert.equal(readInPieces([header.subarray(0, at)]), "unfinished", name);
  }
});

test("a wounded PROXY header is refused, waits for more or says an address, the same however it is cut", () => {
  const random = new Random(20_261_123);
  const seeds = headers.map(([, bytes]) => Buffer.from(bytes));
  let clients = 0;
  for (let i = 0; i < 20_000; i++) {
    const bytes = mutate(random.pick(seeds), random);
    const reading = checkProxyHeader(bytes, random.integer(0, bytes.length));
    if (reading !== "unfinished" && reading.ip !== null) clients++;
  }
  assert.ok(clients > 500, `only ${clients} headers were good`);
});

test("any client of either family comes out of either version as the operating system would print it", () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.uint8Array({ minLength: 16, maxLength: 16 }), (ipv4, octets) => {
      const groups = (Buffer.from(octets).toString("hex").match(/.{4}/g) ?? []).join(":");
      for (const version of [1, 2] as const) {
        assert.deepEqual(readInPieces([clientHeader(version, ipv4)]), {
          ip: ipv4,
          bytes: clientHeader(version, ipv4).length,
        });
      }
      assert.deepEqual(
        (readInPieces([clientHeader(1, groups)]) as { ip: string }).ip,
        (readInPieces([clientHeader(2, groups)]) as { ip: string }).ip,
      );
    }),
  );
});

for (const version of [1, 2] as const) {
  test(`a mail behind a listed proxy, version ${version}, has the client's address, cut at every byte`, async () => {
    const intake = new MemoryIntake(to);
    await using door = await openDoor(intake, { ...behindLoopback, limits: { maxConnectionsPerIp: 1000 } });
    const header = clientHeader(version, longIp);
    const sent = Buffer.concat([header, Buffer.from(oneMail)]);
    for (let at = 0; at <= header.length + 1; at++) {
      await using client = await SmtpClient.connect(door.address.port);
      await client.send(sent.subarray(0, at));
      await nextTurn();
      await client.send(sent.subarray(at));
      assert.deepEqual(await client.codes(5), [220, 250, 250, 250, 250]);
    }
    assert.equal(intake.mails.length, header.length + 2);
    for (const { origin } of intake.mails) assert.equal(origin?.ip, "2001:db8:0:1::7");
  });
}

test("a proxy that speaks for itself keeps its own address", async () => {
  const intake = new MemoryIntake(to);
  await using door = await openDoor(intake, behindLoopback);
  for (const header of ["PROXY UNKNOWN\r\n", binaryHeader({ command: 0x20, family: 0, rest: none })]) {
    await using client = await SmtpClient.connect(door.address.port);
    await client.send(header);
    await client.send(oneMail);
    assert.deepEqual(await client.codes(5), [220, 250, 250, 250, 250]);
  }
  assert.deepEqual(
    intake.mails.map(({ origin }) => origin?.ip),
    ["127.0.0.1", "127.0.0.1"],
  );
});

test("a listed proxy without a header gets no word and is closed: malformed at once, silent after a while", async () => {
  const log: string[] = [];
  await using door = await openDoor(new MemoryIntake(to), { ...behindLoopback, limits: { idleTimeoutMs: 200 }, log });
  await using plain = await SmtpClient.connect(door.address.port);
  await plain.send("EHLO x\r\n");
  assert.equal(await plain.drained(), "");
  assert.ok(log.some((line) => line.includes("did not begin with a PROXY header") && line.includes("malformed")));
  for (const begun of ["", "PROXY TCP4 192.0.2.7"]) {
    await using client = await SmtpClient.connect(door.address.port);
    await client.send(begun);
    assert.equal(await client.drained(), "");
  }
  await using gone = await SmtpClient.connect(door.address.port);
  gone.endInput();
  assert.equal(await gone.drained(), "");
});

test("a PROXY header of somebody who is not listed is an unknown command", async () => {
  const intake = new MemoryIntake(to);
  await using door = await openDoor(intake, { proxyPeers: ["192.0.2.0/24", "::1/128"] });
  await using client = await SmtpClient.connect(door.address.port);
  await client.send(clientHeader(1, "198.51.100.9"));
  assert.deepEqual(await client.codes(2), [220, 500]);
  await client.send(oneMail);
  assert.deepEqual(await client.codes(4), [250, 250, 250, 250]);
  assert.equal(intake.mails[0]?.origin?.ip, "127.0.0.1");
  await using binary = await SmtpClient.connect(door.address.port);
  await binary.send(clientHeader(2, "198.51.100.9"));
  assert.equal((await binary.reply()).code, 220);
  assert.match(await binary.drained(), /^500 5\.5\.1 Unknown command\r\n/);
});

test("behind a proxy the limits count the clients, not the proxy", async () => {
  await using door = await openDoor(new MemoryIntake(to), {
    ...behindLoopback,
    limits: { maxConnectionsPerIp: 1, maxConnections: 3 },
  });
  const connect = async (header: string | Buffer): Promise<{ client: SmtpClient; line: string }> => {
    const client = await SmtpClient.connect(door.address.port);
    await client.send(header);
    return { client, line: (await client.reply()).lines[0] ?? "" };
  };
  await using clients = new AsyncDisposableStack();
  const say = async (ip: string): Promise<string> => {
    const { client, line } = await connect(clientHeader(2, ip));
    clients.use(client);
    return line.slice(0, 9);
  };
  assert.equal(await say("192.0.2.7"), "220 mx.te");
  assert.equal(await say("192.0.2.7"), "421 4.7.0");
  assert.equal(await say("192.0.2.8"), "220 mx.te");
  // One that has not said for whom it speaks takes a place too.
  clients.use(await SmtpClient.connect(door.address.port));
  await until("all places are taken", async () => (await say("192.0.2.9")) === "421 4.3.2");
});

test("stopping waits for no proxy that has not sent its header", async () => {
  await using door = await openDoor(new MemoryIntake(to), behindLoopback);
  await using client = await SmtpClient.connect(door.address.port);
  await client.send("PROXY ");
  await nextTurn();
  await door.drain(60_000);
  assert.equal(await client.drained(), "");
});

test("LMTP knows no proxies, wherever it is called from", async () => {
  const listeners = [{ protocol: "lmtp", host: "127.0.0.1", port: 0 }] as const;
  await using door = await openDoor(new MemoryIntake(to), { ...behindLoopback, listeners });
  await using client = await SmtpClient.connect(door.address.port);
  assert.equal((await client.reply()).code, 220);
});

test("lists of networks are checked, and hold addresses of both families, mapped ones too", () => {
  const listed = (text: string): string | null =>
    loadConfig({ env: { CATMAILS_PROXY_PEERS: text } }).config.proxy_peers;
  const text = listed(" 192.0.2.7,198.51.100.0/24,  2001:db8::/32, fe80::/10, ::1 ");
  assert.equal(text, "192.0.2.7/32,198.51.100.0/24,2001:db8::/32,fe80::/10,::1/128");
  const set = new NetworkSet(text.split(","));
  for (const ip of ["192.0.2.7", "::ffff:192.0.2.7", "198.51.100.255", "2001:db8:ffff::1", "::1", "fe80::1%eth0"])
    assert.ok(set.has(ip), ip);
  for (const ip of ["192.0.2.8", "198.51.101.0", "2001:db9::1", "::2", "local", ""]) assert.ok(!set.has(ip), ip);
  for (const bad of [
    ",",
    "192.0.2.0/33",
    "::/129",
    "192.0.2",
    "192.0.2.0/",
    "example.org",
    "fe80::1%eth0",
    "10.0.0.0/8/8",
    "192.0.2.7 192.0.2.8",
  ]) {
    assert.throws(() => listed(bad), /proxy_peers|PROXY_PEERS/i, bad);
  }
});
