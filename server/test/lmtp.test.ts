import assert from "node:assert/strict";
import { createServer } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { ListenError } from "../src/smtp/server.ts";
import { SmtpClient } from "./support/smtp-client.ts";
import { MemoryIntake, openDoor, type DoorOptions } from "./support/smtp-door.ts";
import { TemporaryDirectory } from "./support/temporary-directory.ts";

const lmtp = { protocol: "lmtp", host: "127.0.0.1", port: 0 } as const;
const smtp = { host: "127.0.0.1", port: 0 } as const;
const [ann, bob, cid] = ["ann@ours.example", "bob@ours.example", "cid@ours.example"] as const;

/** Opens an LMTP door and says LHLO. */
async function openLmtp(
  intake: MemoryIntake,
  options: DoorOptions = {},
): Promise<AsyncDisposableStack & { client: SmtpClient; port: number }> {
  const stack = new AsyncDisposableStack();
  const door = stack.use(await openDoor(intake, { listeners: [lmtp], ...options }));
  const client = stack.use(await SmtpClient.connect(door.address.port));
  assert.deepEqual((await client.reply()).lines, ["220 mx.test LMTP Cat Mails"]);
  assert.equal((await client.command("LHLO mta.example")).code, 250);
  return Object.assign(stack, { client, port: door.address.port });
}

function envelopeTo(...addresses: string[]): string {
  return `MAIL FROM:<s@there.example>\r\n${addresses.map((address) => `RCPT TO:<${address}>\r\n`).join("")}`;
}

test("LMTP begins with LHLO, SMTP does not, and each says so", async () => {
  await using lmtpDoor = await openDoor(new MemoryIntake(ann), { listeners: [lmtp] });
  await using client = await SmtpClient.connect(lmtpDoor.address.port);
  await client.reply();
  assert.match((await client.command("MAIL FROM:<>")).lines[0] ?? "", /^503 5\.5\.1 Say LHLO first/);
  for (const hello of ["EHLO x", "HELO x"]) {
    assert.deepEqual((await client.command(hello)).lines, ["500 5.5.1 This is LMTP, say LHLO"]);
  }
  assert.equal((await client.command("LHLO")).code, 501);
  assert.deepEqual((await client.command("lhlo x")).lines.slice(1), [
    "250-PIPELINING",
    "250-SIZE 26214400",
    "250-8BITMIME",
    "250-ENHANCEDSTATUSCODES",
    "250-CHUNKING",
    "250 SMTPUTF8",
  ]);
  await using smtpDoor = await openDoor(new MemoryIntake(ann));
  await using other = await SmtpClient.ready(smtpDoor.address.port);
  assert.deepEqual((await other.command("LHLO x")).lines, ["500 5.5.1 Unknown command"]);
});

for (const [how, content] of [
  ["DATA", "DATA\r\nx\r\n.\r\n"],
  ["BDAT", "BDAT 1\r\nxBDAT 2 LAST\r\n\r\n"],
] as const) {
  const first = how === "DATA" ? 354 : 250;

  test(`LMTP answers the end of ${how} once for each accepted RCPT, in order, and each for itself`, async () => {
    const intake = new MemoryIntake(ann, bob, cid);
    await using session = await openLmtp(intake);
    const { client } = session;
    intake.onReceive = () => ({ kind: "stored", receipt: "r", gone: [bob] });
    await client.send(`${envelopeTo(ann, "nobody@ours.example", bob, cid, ann)}${content}NOOP\r\n`);
    assert.deepEqual(await client.codes(7), [250, 250, 550, 250, 250, 250, first]);
    const ends = [await client.reply(), await client.reply(), await client.reply(), await client.reply()];
    assert.deepEqual(
      ends.flatMap(({ lines }) => lines),
      ["250 2.0.0 r", "550 5.1.1 No such mailbox here", "250 2.0.0 r", "250 2.0.0 r"],
    );
    assert.deepEqual((await client.reply()).lines, ["250 2.0.0 OK"]);
    assert.deepEqual(intake.mails[0]?.to, [ann, bob, cid], "the same mailbox gets one copy");
    assert.deepEqual(intake.mails[0].origin, { ip: "127.0.0.1", helo: "mta.example", transmission: "LMTP" });
  });

  test(`LMTP answers a mail by ${how} that is not taken as often as one that is`, async () => {
    const intake = new MemoryIntake(ann, bob);
    await using session = await openLmtp(intake);
    const { client } = session;
    for (const [result, reply] of [
      [() => ({ kind: "gone" }) as const, /^550 5\.1\.1 /],
      [() => ({ kind: "looping" }) as const, /^554 5\.4\.6 /],
      [() => Promise.reject(new Error("the disk is full")), /^451 4\.3\.0 /],
    ] as const) {
      intake.onReceive = result;
      await client.send(`${envelopeTo(ann, bob)}${content}`);
      assert.deepEqual(await client.codes(4), [250, 250, 250, first]);
      for (let i = 0; i < 2; i++) assert.match((await client.reply()).lines[0] ?? "", reply);
    }
    assert.equal((await client.command("NOOP")).code, 250);
  });
}

test("LMTP without a recipient refuses DATA with 503, and a last chunk with no reply at all", async () => {
  await using session = await openLmtp(new MemoryIntake(ann));
  const { client } = session;
  await client.send(
    `${envelopeTo("nobody@ours.example")}DATA\r\nBDAT 4\r\nQUITBDAT 6 LAST\r\nQUIT\r\nNOOP\r\nHELP\r\n`,
  );
  assert.deepEqual(await client.codes(4), [250, 550, 503, 503]);
  assert.deepEqual(await client.codes(2), [250, 214]);
});

test("LMTP repeats a refusal of the content for each recipient, and then closes where bytes cannot be trusted", async () => {
  await using session = await openLmtp(new MemoryIntake(ann, bob), { limits: { maxMessageBytes: 10 } });
  const { client } = session;
  await client.send(`${envelopeTo(ann, bob)}BDAT 11\r\n12345678901BDAT 1 LAST\r\n2`);
  assert.deepEqual(await client.codes(6), [250, 250, 250, 552, 552, 552]);
  await client.send(`${envelopeTo(ann, bob)}DATA\r\na\nb\r\n.\r\nNOOP\r\n`);
  assert.deepEqual(await client.codes(6), [250, 250, 250, 354, 554, 554]);
  await client.closed();
});

test("LMTP limits no mail server's mails, errors and connections, but the recipients of a mail", async () => {
  const intake = new MemoryIntake(ann);
  const limits = { maxMails: 1, maxErrors: 2, maxConnectionsPerIp: 1, maxRecipients: 2 };
  await using session = await openLmtp(intake, { limits });
  const { client } = session;
  await client.send(
    envelopeTo("a@ours.example")
      .repeat(5)
      .replaceAll(/^RCPT.*$/gm, "$&\r\nRSET"),
  );
  assert.deepEqual(
    await client.codes(15),
    [1, 2, 3, 4, 5].flatMap(() => [250, 550, 250]),
  );
  for (let i = 0; i < 3; i++) {
    await client.send(`${envelopeTo(ann, ann, ann)}BDAT 1 LAST\r\nx`);
    assert.deepEqual(await client.codes(6), [250, 250, 250, 452, 250, 250]);
  }
});

test("listeners of both protocols share the limit of all connections and the budget", async () => {
  const intake = new MemoryIntake(ann);
  const limits = { maxConnections: 2, maxBufferedBytes: 100 };
  await using door = await openDoor(intake, { limits, listeners: [smtp, lmtp] });
  const ports = door.places.map((place) => ("port" in place ? place.port : 0));
  assert.equal(door.address.port, ports[0]);
  await using first = await SmtpClient.ready(ports[0] ?? 0);
  await using second = await SmtpClient.connect(ports[1] ?? 0);
  await second.reply();
  assert.equal((await second.command("LHLO x")).code, 250);
  for (const port of ports) {
    await using third = await SmtpClient.connect(port);
    assert.match((await third.reply()).lines[0] ?? "", /^421 4\.3\.2 /);
  }
  await first.send(`${envelopeTo(ann)}BDAT 90\r\n${"x".repeat(90)}`);
  assert.deepEqual(await first.codes(3), [250, 250, 250]);
  await second.send(`${envelopeTo(ann)}BDAT 20 LAST\r\n${"x".repeat(20)}`);
  assert.deepEqual(await second.codes(3), [250, 250, 452]);
});

test("LMTP is served on a Unix socket, also where a killed process has left one, but not where one still listens", async () => {
  using directory = new TemporaryDirectory();
  const path = join(directory.path, "lmtp");
  const intake = new MemoryIntake(ann);
  const listeners = [{ protocol: "lmtp", path }] as const;
  for (let round = 0; round < 2; round++) {
    if (round === 1) await leaveSocket(path);
    await using door = await openDoor(intake, { listeners });
    await using client = await SmtpClient.connect(path);
    await client.reply();
    assert.equal((await client.command("LHLO x")).code, 250);
    await client.send(`${envelopeTo(ann)}DATA\r\n.\r\n`);
    assert.deepEqual(await client.codes(4), [250, 250, 354, 250]);
    assert.equal(intake.mails.at(-1)?.origin?.ip, "local");
    await assert.rejects(openDoor(intake, { listeners }), ListenError);
    assert.equal((await client.command("NOOP")).code, 250, "the first goes on");
    assert.deepEqual(door.places, [{ path }]);
  }
});

/** A socket file that nobody listens on, as a process leaves it that is killed. */
async function leaveSocket(path: string): Promise<void> {
  const { execFileSync } = await import("node:child_process");
  const script = `const s = require("node:net").createServer(); s.listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  assert.throws(() => execFileSync(process.execPath, ["-e", script], { stdio: "ignore" }));
  const server = createServer();
  server.listen(path);
  const [error] = (await once(server, "error")) as [NodeJS.ErrnoException];
  assert.equal(error.code, "EADDRINUSE");
}
