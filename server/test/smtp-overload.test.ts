import assert from "node:assert/strict";
import { test } from "node:test";
import { NetworkSet } from "../src/network.ts";
import type { ConnectionCut } from "../src/smtp/metrics.ts";
import { Rates } from "../src/smtp/rates.ts";
import { TokenBuckets } from "../src/smtp/token-buckets.ts";
import { silentLog } from "./support/silent-log.ts";
import { SmtpClient } from "./support/smtp-client.ts";
import { MemoryIntake, noMetrics, openDoor, roomyLimits } from "./support/smtp-door.ts";
import { until } from "./support/until.ts";

const from = "s@there.example";
const to = "demo@ours.example";

test("500 clients that drip are cut with 421, while one that is slow but honest gets its 250", async () => {
  const intake = new MemoryIntake(to);
  const cuts: ConnectionCut[] = [];
  await using door = await openDoor(intake, {
    // 400 bytes in 400 ms: what drips brings 20 of them.
    limits: { minBytesPerSecond: 1000, minRatePeriodMs: 400, maxConnectionsPerIp: 1000 },
    metrics: { ...noMetrics, connectionCut: (reason) => void cuts.push(reason) },
  });
  const { port } = door.address;
  await using honest = await SmtpClient.ready(port);
  const dripping = await Promise.all(Array.from({ length: 500 }, () => SmtpClient.ready(port)));
  await Promise.all(dripping.map((client) => client.startMail(from, to)));
  await honest.startMail(from, to);
  const timer = setInterval(() => {
    honest.socket.write(`${"x".repeat(398)}\r\n`);
    for (const { socket } of dripping) if (socket.writable) socket.write("x");
  }, 50);
  try {
    const last = await Promise.all(dripping.map((client) => client.reply()));
    assert.ok(last.every(({ lines }) => lines[0] === "421 4.4.2 Mail comes too slowly"));
    await Promise.all(dripping.map((client) => client.closed()));
  } finally {
    clearInterval(timer);
  }
  assert.equal((await honest.command("end\r\n.")).code, 250);
  assert.deepEqual(new Set(cuts), new Set(["slow"]));
  assert.equal(intake.mails.length, 1);
  await Promise.all(dripping.map((client) => client[Symbol.asyncDispose]()));
});

test("a connection has its time, and what it brings gives it more", async () => {
  const intake = new MemoryIntake(to);
  // Every 5 MB give a minute: 100 KB give 1.2 s.
  await using door = await openDoor(intake, { limits: { maxSessionMs: 300, idleTimeoutMs: 2_000 } });
  await using idle = await SmtpClient.ready(door.address.port);
  await using busy = await SmtpClient.ready(door.address.port);
  await busy.startMail(from, to);
  assert.equal((await busy.command(`${`${"x".repeat(998)}\r\n`.repeat(100)}.`)).code, 250);
  const talking = setInterval(() => idle.socket.write("NOOP\r\n"), 50);
  try {
    let reply = await idle.reply();
    while (reply.code === 250) reply = await idle.reply();
    assert.deepEqual(reply.lines, ["421 4.4.2 Connection is open for too long, open another"]);
  } finally {
    clearInterval(talking);
  }
  assert.equal((await busy.command("NOOP")).code, 250);
});

test("when connections are scarce patience is short, and long again when they are not, with one line for each change", async () => {
  const log: string[] = [];
  const changes: boolean[] = [];
  await using door = await openDoor(new MemoryIntake(), {
    limits: { maxConnections: 10, stressPercent: 80, stressIdleTimeoutMs: 400 },
    metrics: { ...noMetrics, stressChanged: (isOn) => void changes.push(isOn) },
    log,
  });
  const { port } = door.address;
  const ready = (count: number) => Promise.all(Array.from({ length: count }, () => SmtpClient.ready(port)));
  const calm = await ready(8);
  assert.equal((await calm[0]!.command("NONSENSE")).code, 500, "at the mark everything is as always");
  assert.deepEqual(changes, []);
  const [ninth] = await ready(1);
  assert.deepEqual(changes, [true]);
  await ninth!.send("NONSENSE\r\n");
  assert.deepEqual(await ninth!.codes(2), [500, 421], "one error is enough now");
  await ninth!.closed();
  assert.deepEqual(changes, [true], "a little below the mark is not calm yet");
  for (const client of calm) assert.match((await client.reply()).lines[0] ?? "", /^421 4\.4\.2 Nothing/);
  await Promise.all([...calm, ninth!].map((client) => client[Symbol.asyncDispose]()));
  await until("all have left", () => door.connectionCount === 0);
  assert.deepEqual(changes, [true, false]);
  const lines = log.filter((line) => line.includes("scarce"));
  assert.equal(lines.length, 2, lines.join(""));
  await using after = await SmtpClient.ready(port);
  await after.send("NONSENSE\r\nNOOP\r\n");
  assert.deepEqual(await after.codes(2), [500, 250]);
});

test("a client that names too many unknown recipients is told nothing any more, on any connection", async () => {
  const intake = new MemoryIntake(to);
  await using door = await openDoor(intake, {
    limits: { rates: { ...roomyLimits.rates, unknownRecipients: 3, unknownPeriodMs: 400 } },
  });
  const name = async (client: SmtpClient, address: string) => (await client.command(`RCPT TO:<${address}>`)).lines[0];
  await using harvester = await SmtpClient.ready(door.address.port);
  await harvester.command(`MAIL FROM:<${from}>`);
  for (let i = 0; i < 4; i++) assert.match((await name(harvester, `guess${i}@ours.example`)) ?? "", /^550 5\.1\.1 /);
  const asked = intake.asked.length;
  const silence = "450 4.7.1 Too many unknown recipients from your address, try again later";
  assert.equal(await name(harvester, to), silence, "who exists");
  assert.equal(await name(harvester, "guess9@ours.example"), silence, "and who does not");
  await using other = await SmtpClient.ready(door.address.port);
  await other.command(`MAIL FROM:<${from}>`);
  assert.equal(await name(other, to), silence);
  assert.equal(intake.asked.length, asked, "and nothing is looked up");
  await until("it is over", async () => (await name(other, to))?.startsWith("250 ") === true);
});

test("an honest sender with a few typos does not notice", async () => {
  const intake = new MemoryIntake(to);
  await using door = await openDoor(intake, {
    limits: { rates: { ...roomyLimits.rates, unknownRecipients: 3, unknownPeriodMs: 60_000 } },
  });
  await using client = await SmtpClient.ready(door.address.port);
  for (let i = 0; i < 3; i++) {
    await client.send(`MAIL FROM:<${from}>\r\nRCPT TO:<typo${i}@ours.example>\r\nRCPT TO:<${to}>\r\nDATA\r\n`);
    assert.deepEqual(await client.codes(4), [250, 550, 250, 354]);
    assert.equal((await client.command(".")).code, 250);
  }
});

test("connections and mails of a client, and mails to a mailbox, have a rate; trusted networks have none", async () => {
  const intake = new MemoryIntake(to, "other@ours.example");
  const rates = { ...roomyLimits.rates, connectionsPerMinute: 2, mailsPerMinute: 5, mailboxMailsPerMinute: 3 };
  const mail = async (client: SmtpClient, address = to): Promise<number[]> => {
    await client.send(`MAIL FROM:<${from}>\r\nRCPT TO:<${address}>\r\nDATA\r\n.\r\n`);
    const codes = await client.codes(3);
    return codes[2] === 354 ? [...codes, (await client.reply()).code] : [...codes, ...(await client.codes(1))];
  };
  await using door = await openDoor(intake, { limits: { rates } });
  await using first = await SmtpClient.ready(door.address.port);
  for (let i = 0; i < 3; i++) assert.deepEqual(await mail(first), [250, 250, 354, 250]);
  await using second = await SmtpClient.ready(door.address.port);
  assert.equal((await second.command(`MAIL FROM:<${from}>`)).code, 250);
  assert.match((await second.command(`RCPT TO:<${to}>`)).lines[0] ?? "", /^450 4\.2\.1 /, "whoever sends it");
  assert.equal((await second.command("RCPT TO:<other@ours.example>")).code, 250);
  assert.deepEqual(await mail(first, "other@ours.example"), [250, 250, 354, 250]);
  assert.match((await first.command(`MAIL FROM:<${from}>`)).lines[0] ?? "", /^450 4\.7\.1 Too many mails /);
  await using third = await SmtpClient.connect(door.address.port);
  assert.match((await third.reply()).lines[0] ?? "", /^421 4\.7\.0 .* in a minute$/);
  await third.closed();

  const trusting = { ...rates, trusted: new NetworkSet(["127.0.0.0/8"]) };
  await using friendly = await openDoor(intake, { limits: { rates: trusting } });
  for (let i = 0; i < 4; i++) {
    await using friend = await SmtpClient.ready(friendly.address.port);
    for (let j = 0; j < 2; j++) assert.deepEqual(await mail(friend), [250, 250, 354, 250]);
  }
});

test("a mail to many addresses of a mailbox counts for each, and what was too much has to be waited for, a minute at most", () => {
  const rates = new Rates({ ...roomyLimits.rates, mailboxMailsPerMinute: 100 }, silentLog());
  const visitor = rates.visitor("198.51.100.1") ?? assert.fail("it is counted");
  const [flooded, other] = [1, 2];
  assert.equal(visitor.mayReach(flooded), true);
  visitor.noteDelivered([...Array<number>(100).fill(flooded), other]);
  assert.deepEqual([visitor.mayReach(flooded), visitor.mayReach(other)], [false, true]);
  const buckets = new TokenBuckets(100);
  for (let i = 0; i < 1000; i++) buckets.owe("x", 0);
  assert.deepEqual(
    [buckets.has("x", 60_000), buckets.has("x", 61_000), buckets.take("x", 61_000)],
    [false, true, true],
  );
});

test("every HTTP verb as the first word ends the connection, and nothing that came with it is a command", async () => {
  const intake = new MemoryIntake(to);
  await using door = await openDoor(intake);
  for (const verb of ["GET", "POST", "PUT", "HEAD", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "get"]) {
    await using client = await SmtpClient.ready(door.address.port);
    await client.send(
      `${verb} / HTTP/1.1\r\nHost: x\r\n\r\nEHLO x\r\nMAIL FROM:<${from}>\r\nRCPT TO:<${to}>\r\nDATA\r\n.\r\n`,
    );
    assert.deepEqual((await client.reply()).lines, ["554 5.5.1 This is SMTP, not HTTP"]);
    await client.closed();
  }
  assert.deepEqual(intake.asked, []);
});

test("while there is no room MAIL gets 452, and so does a mail that was under way; it ends by itself", async () => {
  const intake = new MemoryIntake(to);
  let hasRoom = true;
  await using door = await openDoor(Object.assign(intake, { hasRoom: () => hasRoom }));
  await using client = await SmtpClient.ready(door.address.port);
  hasRoom = false;
  assert.match((await client.command(`MAIL FROM:<${from}>`)).lines[0] ?? "", /^452 4\.3\.1 /);
  hasRoom = true;
  await client.startMail(from, to);
  intake.onReceive = () => ({ kind: "no_room" });
  assert.match((await client.command(".")).lines[0] ?? "", /^452 4\.3\.1 /);
  intake.onReceive = () => ({ kind: "stored", receipt: "x" });
  await client.startMail(from, to);
  assert.equal((await client.command(".")).code, 250);
});
