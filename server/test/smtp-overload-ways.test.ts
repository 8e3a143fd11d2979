import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { NetworkSet } from "../src/network.ts";
import type { ReceiveResult } from "../src/smtp/intake.ts";
import { smtpLimits } from "../src/cli/service.ts";
import { ConfigError, loadConfig } from "../src/config.ts";
import { Spool } from "../src/smtp/spool.ts";
import { clientHeader } from "./support/proxy-headers.ts";
import { SmtpClient } from "./support/smtp-client.ts";
import { MemoryIntake, noMetrics, openDoor, roomyLimits } from "./support/smtp-door.ts";
import { TemporaryDirectory } from "./support/temporary-directory.ts";
import { until } from "./support/until.ts";

const to = "demo@ours.example";
const envelope = `MAIL FROM:<s@there.example>\r\nRCPT TO:<${to}>\r\n`;
const lmtp = { protocol: "lmtp", host: "127.0.0.1", port: 0 } as const;

const bdat = (octets: string, isLast = false): string => `BDAT ${octets.length}${isLast ? " LAST" : ""}\r\n${octets}`;
const lines = (bytes: number): string => `${"x".repeat(98)}\r\n`.repeat(bytes / 100);

test("chunks go through a file too, byte for byte, and leave nothing behind", async () => {
  using directory = new TemporaryDirectory();
  const intake = new MemoryIntake(to);
  let spooled = 0;
  await using door = await openDoor(intake, {
    limits: { spoolBytes: 1000, maxBufferedBytes: 2000 },
    spool: await Spool.open({ dir: directory.path }),
    metrics: { ...noMetrics, mailSpooled: () => void spooled++ },
  });
  await using client = await SmtpClient.ready(door.address.port);
  // More than the budget in one chunk, and small ones that pass the mark together.
  for (const sizes of [
    [500_000, 100],
    Array.from({ length: 50 }, () => 200_000),
    Array.from({ length: 12 }, () => 100),
  ]) {
    const chunks = sizes.map((size, index) => bdat(lines(size), index === sizes.length - 1));
    await client.send(envelope + chunks.join(""));
    assert.deepEqual(new Set(await client.codes(2 + sizes.length)), new Set([250]));
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    assert.ok(intake.mails.at(-1)?.raw.equals(Buffer.from(lines(bytes))), `${bytes} bytes`);
  }
  assert.equal(spooled, 3);
  await client.send(envelope + bdat(lines(500_000)) + "RSET\r\n" + envelope + bdat("ok\r\n", true));
  assert.deepEqual(await client.codes(7), [250, 250, 250, 250, 250, 250, 250]);
  assert.equal(intake.mails.at(-1)?.raw.toString(), "ok\r\n", "what was dropped stays dropped");
  assert.deepEqual(readdirSync(directory.path), []);
});

test("a chunk that cannot be written is read to its end and gets 452, with LMTP for each recipient", async () => {
  using directory = new TemporaryDirectory();
  const spool = await Spool.open({ dir: directory.path, hasRoom: () => false });
  await using door = await openDoor(new MemoryIntake(to), { limits: { spoolBytes: 1000 }, spool, listeners: [lmtp] });
  await using client = await SmtpClient.connect(door.address.port);
  await client.reply();
  await client.command("LHLO x");
  await client.send(`${envelope}RCPT TO:<${to}>\r\n${bdat(lines(200_000), true)}NOOP\r\n`);
  assert.deepEqual(await client.codes(6), [250, 250, 250, 452, 452, 250]);
});

test("whoever sends chunks waits for memory as well", async () => {
  using directory = new TemporaryDirectory();
  const intake = new MemoryIntake(to);
  const gate = Promise.withResolvers<ReceiveResult>();
  let handedOver = 0;
  intake.onReceive = () => (handedOver++, gate.promise);
  await using door = await openDoor(intake, {
    limits: { maxBufferedBytes: 100_000, idleTimeoutMs: 300 },
    spool: await Spool.open({ dir: directory.path }),
  });
  await using first = await SmtpClient.ready(door.address.port);
  await using second = await SmtpClient.ready(door.address.port);
  await first.send(envelope + bdat(lines(80_000), true));
  assert.deepEqual(await first.codes(2), [250, 250]);
  await until("it is handed over", () => handedOver === 1);
  await second.send(envelope + bdat(lines(50_000), true));
  assert.deepEqual(await second.codes(2), [250, 250]);
  await using idle = await SmtpClient.ready(door.address.port);
  assert.equal((await idle.reply()).code, 421, "so long it has waited, and that is not its fault");
  gate.resolve({ kind: "stored", receipt: "x" });
  assert.deepEqual([(await first.reply()).code, (await second.reply()).code], [250, 250]);
});

test("octets of a chunk that drip are cut, also where the chunk is refused anyway", async () => {
  await using door = await openDoor(new MemoryIntake(to), {
    limits: { minBytesPerSecond: 1000, minRatePeriodMs: 300 },
  });
  for (const start of [`${envelope}BDAT 99999\r\n`, "BDAT 99999\r\n"]) {
    await using client = await SmtpClient.ready(door.address.port);
    await client.send(start);
    if (start !== "BDAT 99999\r\n") await client.codes(2);
    const drip = setInterval(() => client.socket.writable && client.socket.write("x"), 20);
    try {
      assert.deepEqual((await client.reply()).lines, ["421 4.4.2 Mail comes too slowly"]);
    } finally {
      clearInterval(drip);
    }
    await client.closed();
  }
});

test("rates and scarce connections do not hold for LMTP", async () => {
  const intake = new MemoryIntake(to);
  const rates = {
    ...roomyLimits.rates,
    connectionsPerMinute: 1,
    mailsPerMinute: 1,
    mailboxMailsPerMinute: 1,
    unknownRecipients: 1,
  };
  const limits = { rates, maxConnections: 4, stressPercent: 25, stressIdleTimeoutMs: 100, maxSessionMs: 100 };
  await using door = await openDoor(intake, { listeners: [lmtp], limits });
  const open = async (): Promise<SmtpClient> => {
    const client = await SmtpClient.connect(door.address.port);
    await client.reply();
    await client.command("LHLO x");
    return client;
  };
  await using first = await open();
  await using second = await open();
  for (const client of [first, second, first]) {
    await client.send(`${envelope}RCPT TO:<a@ours.example>\r\nRCPT TO:<b@ours.example>\r\n${bdat("x\r\n", true)}`);
    assert.deepEqual(await client.codes(5), [250, 250, 550, 550, 250]);
  }
});

test("behind a proxy rates hold for each client it names, and for none of the proxy's own", async () => {
  const rates = { ...roomyLimits.rates, connectionsPerMinute: 1, trusted: new NetworkSet(["127.0.0.0/8"]) };
  await using door = await openDoor(new MemoryIntake(to), { proxyPeers: ["127.0.0.0/8"], limits: { rates } });
  const greet = async (ip: string): Promise<string> => {
    await using client = await SmtpClient.connect(door.address.port);
    client.socket.write(clientHeader(2, ip));
    return (await client.reply()).lines[0]?.slice(0, 9) ?? "";
  };
  assert.equal(await greet("192.0.2.1"), "220 mx.te");
  assert.equal(await greet("192.0.2.1"), "421 4.7.0");
  assert.equal(await greet("192.0.2.2"), "220 mx.te");
  assert.equal(await greet("127.0.0.9"), "220 mx.te");
  assert.equal(await greet("127.0.0.9"), "220 mx.te", "a client that is trusted");
});

test("trusted networks are read from the settings, and can be none", () => {
  const trustedOf = (networks?: string): NetworkSet | null =>
    smtpLimits(loadConfig({ flags: { smtp_trusted_networks: networks } }).config).rates.trusted;
  for (const ip of ["127.0.0.1", "::1", "::ffff:10.1.2.3", "192.168.7.7", "fe80::1%eth0"]) {
    assert.equal(trustedOf()?.has(ip), true, ip);
  }
  assert.equal(trustedOf()?.has("192.0.2.1"), false);
  assert.equal(trustedOf("192.0.2.7/24, 2001:db8::1")?.has("192.0.2.1"), true);
  assert.equal(trustedOf("none"), null);
  assert.throws(() => trustedOf("nobody"), ConfigError);
  assert.throws(() => loadConfig({ flags: { proxy_peers: "none" } }), ConfigError, "only where it means something");
});
