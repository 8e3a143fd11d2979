import assert from "node:assert/strict";
import { test } from "node:test";
import { networkOf } from "../src/smtp/admission.ts";
import type { ReceiveResult } from "../src/smtp/intake.ts";
import { SmtpClient } from "./support/smtp-client.ts";
import { MemoryIntake, noMetrics, openDoor } from "./support/smtp-door.ts";
import { until } from "./support/until.ts";

const from = "s@there.example";
const to = "demo@ours.example";

test("a mail over the size limit is read to its end, refused, and the connection stays usable", async () => {
  const intake = new MemoryIntake(to);
  await using door = await openDoor(intake, { limits: { maxMessageBytes: 2000 } });
  await using client = await SmtpClient.ready(door.address.port);
  const line = `${"x".repeat(98)}\r\n`;
  await client.startMail(from, to);
  await client.send(`${line.repeat(1000)}MAIL FROM:<smuggled@x>\r\n.\r\n`);
  assert.deepEqual((await client.reply()).lines, ["552 5.3.4 Mail is too large"]);
  await client.startMail(from, to);
  await client.send(`${line.repeat(20)}.\r\n`);
  assert.equal((await client.reply()).code, 250);
  assert.deepEqual(
    intake.mails.map(({ raw }) => raw.length),
    [2000],
  );
});

test("recipients beyond the limit are put off with 452, and the mail goes to the others", async () => {
  const addresses = Array.from({ length: 5 }, (_, i) => `u${i}@ours.example`);
  const intake = new MemoryIntake(...addresses);
  await using door = await openDoor(intake, { limits: { maxRecipients: 3 } });
  await using client = await SmtpClient.ready(door.address.port);
  const lines = [`MAIL FROM:<${from}>`, ...addresses.map((address) => `RCPT TO:<${address}>`), "DATA"];
  await client.send(lines.map((line) => `${line}\r\n`).join(""));
  assert.deepEqual(await client.codes(7), [250, 250, 250, 250, 452, 452, 354]);
  assert.equal((await client.command(".")).code, 250);
  assert.deepEqual(intake.mails[0]?.to, addresses.slice(0, 3));
});

test("a command line over the limit is refused once and read to its end", async () => {
  await using door = await openDoor(new MemoryIntake(), { limits: { maxLineBytes: 512 } });
  await using client = await SmtpClient.ready(door.address.port);
  assert.equal((await client.command(`NOOP ${"x".repeat(505)}`)).code, 250);
  assert.deepEqual((await client.command(`NOOP ${"x".repeat(506)}`)).lines, ["500 5.5.2 Line is too long"]);
  assert.equal((await client.command(`NOOP ${"x QUIT ".repeat(100_000)}`)).code, 500);
  assert.equal((await client.command("NOOP")).code, 250);
});

test("control characters and broken UTF-8 in commands are refused, and the connection stays usable", async () => {
  await using door = await openDoor(new MemoryIntake());
  await using client = await SmtpClient.ready(door.address.port);
  for (const line of ["NOOP \0", "NOOP\tx", "NOOP \x7f", "\x1b[A"]) {
    assert.deepEqual((await client.command(line)).lines, ["500 5.5.2 Control characters are refused"]);
  }
  await client.send(Buffer.from("NOOP \xff\r\n", "latin1"));
  assert.deepEqual((await client.reply()).lines, ["500 5.5.2 Line is not UTF-8"]);
  assert.equal((await client.command("NOOP")).code, 250);
});

test("after so many errors the connection is closed with 421, and what was sent ahead is not read", async () => {
  const intake = new MemoryIntake(to);
  await using door = await openDoor(intake, { limits: { maxErrors: 3 } });
  await using client = await SmtpClient.ready(door.address.port);
  await client.send(`MAIL FROM:<${from}>\r\nNONSENSE\r\nRCPT TO:<nobody@ours.example>\r\nRCPT TO:<a@b.example>\r\n`);
  await client.send(`RCPT TO:<${to}>\r\nDATA\r\n.\r\n`);
  assert.deepEqual(await client.codes(5), [250, 500, 550, 550, 421]);
  await client.closed();
  assert.deepEqual(intake.asked, ["nobody@ours.example", "a@b.example"]);
});

test("after so many mails the next one gets 421", async () => {
  const intake = new MemoryIntake(to);
  await using door = await openDoor(intake, { limits: { maxMails: 2 } });
  await using client = await SmtpClient.ready(door.address.port);
  for (let i = 0; i < 2; i++) {
    await client.startMail(from, to);
    assert.equal((await client.command(".")).code, 250);
  }
  assert.match((await client.command(`MAIL FROM:<${from}>`)).lines[0] ?? "", /^421 4\.7\.0 /);
  await client.closed();
  assert.equal(intake.mails.length, 2);
});

test("a silent client is closed with 421 4.4.2, between commands and within a mail", async () => {
  const intake = new MemoryIntake(to);
  await using door = await openDoor(intake, { limits: { idleTimeoutMs: 100 } });
  await using idle = await SmtpClient.ready(door.address.port);
  await using sending = await SmtpClient.ready(door.address.port);
  await sending.startMail(from, to);
  await sending.send("Subject: x\r\n");
  for (const client of [idle, sending]) {
    assert.match((await client.reply()).lines[0] ?? "", /^421 4\.4\.2 /);
    await client.closed();
  }
  assert.deepEqual(intake.mails, []);
});

test("bytes of a command that never ends do not keep a connection open", async () => {
  await using door = await openDoor(new MemoryIntake(), { limits: { idleTimeoutMs: 150 } });
  await using client = await SmtpClient.ready(door.address.port);
  const dripping = setInterval(() => client.socket.write("x"), 20);
  try {
    assert.equal((await client.reply()).code, 421);
  } finally {
    clearInterval(dripping);
  }
});

test("waiting for a commit is not silence of the client", async () => {
  const intake = new MemoryIntake(to);
  const gate = Promise.withResolvers<ReceiveResult>();
  intake.onReceive = () => gate.promise;
  await using door = await openDoor(intake, { limits: { idleTimeoutMs: 100 } });
  await using idle = await SmtpClient.ready(door.address.port);
  await using client = await SmtpClient.ready(door.address.port);
  await client.startMail(from, to);
  await client.send(".\r\n");
  assert.equal((await idle.reply()).code, 421, "this one waited as long");
  gate.resolve({ kind: "stored", receipt: "late" });
  assert.deepEqual((await client.reply()).lines, ["250 2.0.0 late"]);
});

test("connections over a limit get 421 in place of the greeting, and a place that becomes free can be taken", async () => {
  await using door = await openDoor(new MemoryIntake(), { limits: { maxConnections: 3, maxConnectionsPerIp: 2 } });
  const first = await SmtpClient.ready(door.address.port);
  await using second = await SmtpClient.ready(door.address.port);
  await using third = await SmtpClient.connect(door.address.port);
  assert.match((await third.reply()).lines[0] ?? "", /^421 4\.7\.0 /);
  await third.closed();
  assert.equal((await first.command("QUIT")).code, 221);
  await first.closed();
  await first[Symbol.asyncDispose]();
  await until("the first has left", () => door.connectionCount === 1);
  await using fourth = await SmtpClient.ready(door.address.port);
  assert.equal((await fourth.command("NOOP")).code, 250);
  assert.equal((await second.command("NOOP")).code, 250);
});

test("the limit of all connections is its own", async () => {
  await using door = await openDoor(new MemoryIntake(), { limits: { maxConnections: 1 } });
  await using first = await SmtpClient.ready(door.address.port);
  await using second = await SmtpClient.connect(door.address.port);
  assert.match((await second.reply()).lines[0] ?? "", /^421 4\.3\.2 /);
  await second.closed();
  assert.equal((await first.command("NOOP")).code, 250);
});

test("one client is an IPv4 address, mapped or not, or an IPv6 /64", () => {
  assert.equal(networkOf("192.0.2.7"), "192.0.2.7");
  assert.equal(networkOf("::ffff:192.0.2.7"), "192.0.2.7");
  assert.equal(networkOf("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  assert.equal(networkOf("2001:db8:1:2::1"), "2001:db8:1:2::/64");
  assert.equal(networkOf("2001:db8:1:3::1"), "2001:db8:1:3::/64");
  assert.equal(networkOf("2001:DB8::1"), "2001:db8:0:0::/64");
  assert.equal(networkOf("fe80::1%eth0"), "fe80:0:0:0::/64");
  assert.equal(networkOf("::1"), "0:0:0:0::/64");
  assert.equal(networkOf("64:ff9b::192.0.2.7"), "64:ff9b:0:0::/64");
});

test("without a spool, mails that are received or committed together never hold more than their budget", async () => {
  const intake = new MemoryIntake(to);
  const gate = Promise.withResolvers<void>();
  const handed = Promise.withResolvers<void>();
  intake.onReceive = async () => {
    handed.resolve();
    await gate.promise;
    return { kind: "stored", receipt: "x" };
  };
  await using door = await openDoor(intake, { limits: { maxBufferedBytes: 1000 } });
  await using first = await SmtpClient.ready(door.address.port);
  await using second = await SmtpClient.ready(door.address.port);
  await first.startMail(from, to);
  await second.startMail(from, to);
  await first.send(`${"x".repeat(897)}\r\n.\r\n`);
  await handed.promise;
  await second.send(`${"y".repeat(200)}\r\nMAIL FROM:<smuggled@x>\r\n.\r\n`);
  assert.match((await second.reply()).lines[0] ?? "", /^452 4\.3\.1 /, "what comes in over the budget is put off");
  gate.resolve();
  assert.equal((await first.reply()).code, 250);
  await second.startMail(from, to);
  assert.equal((await second.command(`${"z".repeat(900)}\r\n.`)).code, 250, "a commit gives its room back");
});

test("a mail that breaks off, even at its last byte, is not handed over and gives its room back", async () => {
  const intake = new MemoryIntake(to);
  const ended: string[] = [];
  await using door = await openDoor(intake, {
    limits: { maxBufferedBytes: 1000 },
    metrics: { ...noMetrics, mailEnded: (outcome) => void ended.push(outcome) },
  });
  for (let i = 0; i < 3; i++) {
    await using client = await SmtpClient.ready(door.address.port);
    await client.startMail(from, to);
    await client.send(`${"x".repeat(800)}\r\n.\r`);
    client.endInput();
    await client.closed();
  }
  await using client = await SmtpClient.ready(door.address.port);
  await client.startMail(from, to);
  assert.equal((await client.command(`${"x".repeat(800)}\r\n.`)).code, 250);
  assert.equal(intake.mails.length, 1);
  assert.deepEqual(ended, ["unfinished", "unfinished", "unfinished", "stored"]);
});

test("a client that never reads its replies is closed, and holds no more than a bounded backlog meanwhile", async () => {
  await using door = await openDoor(new MemoryIntake(), { limits: { idleTimeoutMs: 300 } });
  await using client = await SmtpClient.ready(door.address.port);
  client.socket.pause();
  const flood = Buffer.from("HELP\r\n".repeat(10_000));
  // Stops being writable once the server no longer reads; what closes it then is the idle limit.
  while (client.socket.writable && client.socket.writableLength < 20_000_000) {
    if (!client.socket.write(flood)) await new Promise((resolve) => setImmediate(resolve));
  }
  await until("it is closed", () => door.connectionCount === 0);
});
