import assert from "node:assert/strict";
import { test } from "node:test";
import { SmtpClient } from "./support/smtp-client.ts";
import { MemoryIntake, openDoor } from "./support/smtp-door.ts";

// What single clauses of the standards ask for and no other test shows; docs/smtp.md names clause by clause which is which.

const from = "s@there.example";
const to = "demo@ours.example";

async function codesOf(client: SmtpClient, lines: readonly string[]): Promise<string[]> {
  const codes: string[] = [];
  for (const line of lines) codes.push((await client.command(line)).lines.at(-1)?.slice(0, 9).trim() ?? "");
  return codes;
}

test("EHLO and HELO take a domain, an address literal or any other name, and hold nobody to it", async () => {
  await using door = await openDoor(new MemoryIntake(to));
  await using client = await SmtpClient.connect(door.address.port);
  await client.reply();
  for (const name of ["client.example", "[192.0.2.1]", "[IPv6:2001:db8::1]", "localhost", "not_a-domain!", "a b"]) {
    assert.equal((await client.command(`EHLO ${name}`)).lines[0], "250-mx.test", name);
    assert.deepEqual((await client.command(`HELO ${name}`)).lines, ["250 mx.test"], name);
  }
});

test("an address literal is an address, and one that no mailbox has", async () => {
  await using door = await openDoor(new MemoryIntake(to));
  await using client = await SmtpClient.ready(door.address.port);
  const paths = ["demo@[192.0.2.1]", "demo@[IPv6:2001:db8::1]"];
  assert.deepEqual(await codesOf(client, [`MAIL FROM:<${paths[0]}>`, "RSET", `MAIL FROM:<${paths[1]}>`]), [
    "250 2.1.0",
    "250 2.0.0",
    "250 2.1.0",
  ]);
  const recipients = [...paths, "demo@[192.0.2]", "demo@[192.0.2.1"].map((path) => `RCPT TO:<${path}>`);
  assert.deepEqual(await codesOf(client, recipients), ["550 5.7.1", "550 5.7.1", "501 5.1.3", "501 5.1.3"]);
});

test("a local part may have 64 octets and a domain 255, and no more", async () => {
  const local = "x".repeat(64);
  const domain = `${"d.".repeat(123)}example12`;
  assert.equal(domain.length, 255);
  const intake = new MemoryIntake(`${local}@ours.example`, `demo@${domain}`);
  await using door = await openDoor(intake);
  await using client = await SmtpClient.ready(door.address.port);
  const lines = [`${local}@ours.example`, `x${local}@ours.example`, `demo@${domain}`, `demo@x${domain}`];
  assert.deepEqual(await codesOf(client, [`MAIL FROM:<${local}@${domain}>`]), ["250 2.1.0"]);
  assert.deepEqual(
    await codesOf(
      client,
      lines.map((path) => `RCPT TO:<${path}>`),
    ),
    ["250 2.1.5", "501 5.1.3", "550 5.7.1", "501 5.1.3"],
  );
});

test("a line of a mail may be of any length", async () => {
  const intake = new MemoryIntake(to);
  await using door = await openDoor(intake);
  await using client = await SmtpClient.ready(door.address.port);
  const line = `${"x".repeat(998)}\r\n${"y".repeat(1_000_000)}\r\n`;
  await client.startMail(from, to);
  await client.send(`${line}.\r\n`);
  assert.equal((await client.reply()).code, 250);
  assert.equal(intake.mails[0]?.raw.toString(), line);
});

test("every octet of a mail but a bare CR or LF is kept, whatever BODY said", async () => {
  const intake = new MemoryIntake(to);
  await using door = await openDoor(intake);
  await using client = await SmtpClient.ready(door.address.port);
  const octets = Buffer.from(
    Array.from({ length: 256 }, (_, octet) => octet).filter((octet) => octet !== 10 && octet !== 13),
  );
  const raw = Buffer.concat([octets, Buffer.from("\r\n")]);
  for (const parameters of ["", " BODY=7BIT", " BODY=8BITMIME", " SMTPUTF8"]) {
    const envelope = [`MAIL FROM:<${from}>${parameters}`, `RCPT TO:<${to}>`, "DATA"];
    assert.deepEqual(
      (await codesOf(client, envelope)).map((code) => code.slice(0, 3)),
      ["250", "250", "354"],
    );
    await client.send(Buffer.concat([raw, Buffer.from(".\r\n")]));
    assert.equal((await client.reply()).code, 250);
    assert.deepEqual(intake.mails.at(-1)?.raw, raw, parameters);
  }
});

test("a mail without a sender is taken like any other, for several recipients too", async () => {
  const intake = new MemoryIntake(to, "postmaster");
  await using door = await openDoor(intake);
  await using client = await SmtpClient.ready(door.address.port);
  await client.startMail("", to, "Postmaster");
  assert.equal((await client.command(".")).code, 250);
  assert.deepEqual(
    intake.mails.map((mail) => [mail.from, mail.to, mail.raw.length]),
    [["", [to, "postmaster"], 0]],
  );
});

test("QUIT ends the connection and drops the envelope", async () => {
  const intake = new MemoryIntake(to);
  await using door = await openDoor(intake);
  await using client = await SmtpClient.ready(door.address.port);
  assert.deepEqual(await codesOf(client, [`MAIL FROM:<${from}>`, `RCPT TO:<${to}>`, "QUIT"]), [
    "250 2.1.0",
    "250 2.1.5",
    "221 2.0.0",
  ]);
  await client.closed();
  assert.deepEqual(intake.mails, []);
});

test("a declared size is no promise: what counts is the real one", async () => {
  const intake = new MemoryIntake(to);
  await using door = await openDoor(intake, { limits: { maxMessageBytes: 1000 } });
  await using client = await SmtpClient.ready(door.address.port);
  const deliver = async (declared: number, bytes: number): Promise<string[]> => {
    const codes = await codesOf(client, [`MAIL FROM:<${from}> SIZE=${declared}`, `RCPT TO:<${to}>`, "DATA"]);
    await client.send(`${"x".repeat(bytes - 2)}\r\n.\r\n`);
    return [...codes, (await client.reply()).lines[0]?.slice(0, 9) ?? ""].map((code) => code.slice(0, 9));
  };
  const start = ["250 2.1.0", "250 2.1.5", "354 End t"];
  assert.deepEqual(await deliver(10, 1000), [...start, "250 2.0.0"], "smaller than it is");
  assert.deepEqual(await deliver(1000, 10), [...start, "250 2.0.0"], "larger than it is");
  assert.deepEqual(await deliver(10, 1001), [...start, "552 5.3.4"], "and too large");
  assert.deepEqual(await codesOf(client, [`MAIL FROM:<${from}> SIZE=0`]), ["250 2.1.0"], "unknown");
});

test("commands that nobody defined, private ones too, change nothing", async () => {
  const intake = new MemoryIntake(to);
  await using door = await openDoor(intake);
  await using client = await SmtpClient.ready(door.address.port);
  const lines = [
    `MAIL FROM:<${from}>`,
    "XPRIVATE a",
    "X",
    "FOO",
    "EXPN staff",
    `RCPT TO:<${to}>`,
    "NOOP",
    "HELP",
    "DATA",
  ];
  assert.deepEqual(
    (await codesOf(client, lines)).map((code) => code.slice(0, 3)),
    [...["250", "500", "500", "500", "502", "250", "250", "214", "354"]],
  );
  assert.equal((await client.command(".")).code, 250);
  assert.equal(intake.mails.length, 1);
});
