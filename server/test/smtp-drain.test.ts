import assert from "node:assert/strict";
import { connect } from "node:net";
import { once } from "node:events";
import { test } from "node:test";
import type { ReceiveResult } from "../src/smtp/intake.ts";
import { SmtpClient } from "./support/smtp-client.ts";
import { MemoryIntake, openDoor } from "./support/smtp-door.ts";

const to = "demo@ours.example";
const from = "s@there.example";

test("stopping ends idle sessions with 421 4.3.2 at once, with or without an open envelope", async () => {
  await using door = await openDoor(new MemoryIntake(to));
  await using idle = await SmtpClient.ready(door.address.port);
  await using open = await SmtpClient.ready(door.address.port);
  assert.equal((await open.command(`MAIL FROM:<${from}>`)).code, 250);
  const drained = door.drain(60_000);
  for (const client of [idle, open]) {
    assert.match((await client.reply()).lines[0] ?? "", /^421 4\.3\.2 /);
    await client.closed();
    client.endInput();
  }
  await drained;
  assert.equal(door.connectionCount, 0);
});

test("stopping lets a mail in flight come in, be committed and be answered, then says 421", async () => {
  const intake = new MemoryIntake(to);
  const gate = Promise.withResolvers<ReceiveResult>();
  const handed = Promise.withResolvers<void>();
  intake.onReceive = () => {
    handed.resolve();
    return gate.promise;
  };
  await using door = await openDoor(intake);
  await using client = await SmtpClient.ready(door.address.port);
  await client.startMail(from, to);
  await client.send("Subject: x\r\n");
  const drained = door.drain(60_000);
  await client.send("\r\none\r\n.\r\nMAIL FROM:<next@there.example>\r\n");
  await handed.promise;
  gate.resolve({ kind: "stored", receipt: "kept" });
  assert.deepEqual((await client.reply()).lines, ["250 2.0.0 kept"]);
  assert.match((await client.reply()).lines[0] ?? "", /^421 4\.3\.2 /);
  await client.closed();
  client.endInput();
  await drained;
  assert.equal(intake.mails.length, 1);
});

test("stopping while a recipient is looked up answers it and says 421", async () => {
  const intake = new MemoryIntake(to);
  const gate = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  intake.beforeCheck = () => {
    asked.resolve();
    return gate.promise;
  };
  await using door = await openDoor(intake);
  await using client = await SmtpClient.ready(door.address.port);
  await client.send(`MAIL FROM:<${from}>\r\nRCPT TO:<${to}>\r\nDATA\r\n`);
  await asked.promise;
  const drained = door.drain(60_000);
  gate.resolve();
  assert.deepEqual(await client.codes(3), [250, 250, 421]);
  await client.closed();
  client.endInput();
  await drained;
});

test("no connection is taken while stopping", async () => {
  await using door = await openDoor(new MemoryIntake(to));
  const { port } = door.address;
  await using client = await SmtpClient.ready(port);
  await client.startMail(from, to);
  const drained = door.drain(60_000);
  const late = connect({ port, host: "127.0.0.1" });
  const [error] = (await once(late, "error")) as [NodeJS.ErrnoException];
  assert.equal(error.code, "ECONNREFUSED");
  await client.send(".\r\n");
  assert.deepEqual(await client.codes(2), [250, 421]);
  client.endInput();
  await drained;
});

test("stopping takes no longer than it may: what is left is dropped, unanswered", async () => {
  const intake = new MemoryIntake(to);
  intake.onReceive = () => new Promise(() => undefined);
  await using door = await openDoor(intake);
  await using sending = await SmtpClient.ready(door.address.port);
  await using committing = await SmtpClient.ready(door.address.port);
  await sending.startMail(from, to);
  await committing.startMail(from, to);
  await committing.send(".\r\n");
  const startedAt = performance.now();
  await door.drain(100);
  assert.ok(performance.now() - startedAt < 2_000);
  assert.equal(await sending.drained(), "");
  assert.equal(await committing.drained(), "");
});

test("a client that never ends its side does not hold up stopping", async () => {
  await using door = await openDoor(new MemoryIntake(to));
  await using client = await SmtpClient.ready(door.address.port);
  const startedAt = performance.now();
  const drained = door.drain(60_000);
  assert.equal((await client.reply()).code, 421);
  await drained;
  assert.ok(performance.now() - startedAt < 10_000);
});

test("what the house cannot do is temporary to the sender and leaves an incident id in the log", async () => {
  const intake = new MemoryIntake(to);
  const log: string[] = [];
  await using door = await openDoor(intake, { log });
  await using client = await SmtpClient.ready(door.address.port);
  intake.onReceive = () => {
    throw new Error("disk is full");
  };
  await client.startMail(from, to);
  const failed = (await client.command("secret body\r\n.")).lines[0] ?? "";
  const incident = /^451 4\.3\.0 .*\(incident (\w+)\)$/.exec(failed)?.[1];
  assert.ok(incident !== undefined, failed);
  assert.ok(log.some((line) => line.includes(incident) && line.includes("disk is full")));

  for (const [result, reply] of [
    [{ kind: "gone" }, "550 5.1.1 "],
    [{ kind: "looping" }, "554 5.4.6 "],
    [{ kind: "stored", receipt: "r-1" }, "250 2.0.0 r-1"],
  ] as [ReceiveResult, string][]) {
    intake.onReceive = () => result;
    await client.startMail(from, to);
    assert.ok((await client.command("secret body\r\n.")).lines[0]?.startsWith(reply), reply);
  }
  const stored = log
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .find(({ receipt }) => receipt === "r-1");
  assert.partialDeepStrictEqual(stored, { from, recipients: 1, bytes: 13, remote: "127.0.0.1", msg: "Mail stored" });
  assert.doesNotMatch(log.join(""), /secret body/);
});
