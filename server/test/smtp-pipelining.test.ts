import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { WriteTurn } from "../src/smtp/write-turn.ts";
import { SmtpClient } from "./support/smtp-client.ts";
import { MemoryIntake, openDoor } from "./support/smtp-door.ts";

const to = "demo@ours.example";
const oneMail = `MAIL FROM:<s@there.example>\r\nRCPT TO:<${to}>\r\nDATA\r\nSubject: x\r\n\r\n..one\r\n.\r\n`;

test("everything may be sent at once, and is answered in order", async () => {
  const intake = new MemoryIntake(to);
  await using door = await openDoor(intake);
  await using client = await SmtpClient.connect(door.address.port);
  await client.send(`EHLO x\r\n${oneMail.repeat(3)}NOOP\r\nQUIT\r\n`);
  assert.deepEqual(await client.codes(16), [220, 250, ...[1, 2, 3].flatMap(() => [250, 250, 354, 250]), 250, 221]);
  await client.closed();
  assert.deepEqual(
    intake.mails.map(({ raw }) => raw.toString()),
    [1, 2, 3].map(() => "Subject: x\r\n\r\n.one\r\n"),
  );
});

test("replies keep their order however slow single answers are", async () => {
  const intake = new MemoryIntake("a@ours.example", "c@ours.example");
  // Each later one is answered sooner.
  const delays = [40, 20, 10, 0];
  intake.beforeCheck = async () => {
    for (let turns = delays.shift() ?? 0; turns > 0; turns--) await nextTurn();
  };
  await using door = await openDoor(intake);
  await using client = await SmtpClient.ready(door.address.port);
  const recipients = ["a@ours.example", "b@ours.example", "c@ours.example", "d@elsewhere.example"];
  const lines = recipients.map((address) => `RCPT TO:<${address}>\r\n`).join("");
  await client.send(`MAIL FROM:<>\r\n${lines}VRFY x\r\nDATA\r\n`);
  assert.deepEqual(await client.codes(7), [250, 250, 550, 250, 550, 252, 354]);
  assert.deepEqual(intake.asked, recipients);
});

test("replies of one piece of input leave in one write", async () => {
  await using door = await openDoor(new MemoryIntake(to));
  await using client = await SmtpClient.ready(door.address.port);
  const pieces: string[] = [];
  client.socket.on("data", (chunk: Buffer) => pieces.push(chunk.toString()));
  await client.send(`MAIL FROM:<>\r\nRCPT TO:<${to}>\r\nRCPT TO:<nobody@ours.example>\r\nDATA\r\n`);
  assert.deepEqual(await client.codes(4), [250, 250, 550, 354]);
  assert.equal(pieces.length, 1);
});

test("what came in a turn is handed on before its replies are written", async () => {
  const intake = new MemoryIntake(to);
  const handedOn: number[] = [];
  await using door = await openDoor(Object.assign(intake, { handOver: () => handedOn.push(intake.mails.length) }));
  await using client = await SmtpClient.ready(door.address.port);
  await client.send(`${oneMail}NOOP\r\n`);
  assert.deepEqual(await client.codes(5), [250, 250, 354, 250, 250]);
  assert.equal(handedOn.at(-1), 1);
  const order: string[] = [];
  const turn = new WriteTurn(() => order.push("hand on"));
  for (const name of ["a", "b"]) turn.add({ flush: () => order.push(name) });
  await nextTurn();
  assert.deepEqual(order, ["hand on", "a", "b"]);
});

test("a session gives the same replies and mails however its bytes are cut", async () => {
  const session = Buffer.from(
    `EHLO x\r\n${oneMail}RSET\r\nNONSENSE\r\nMAIL FROM:<ü@x.example> SMTPUTF8\r\nRCPT TO:<"a>b"@ours.example>\r\nRSET\r\n${oneMail}QUIT\r\n`,
  );
  const play = async (pieces: Buffer[]): Promise<{ said: string; mails: string[] }> => {
    const intake = new MemoryIntake(to);
    await using door = await openDoor(intake);
    await using client = await SmtpClient.connect(door.address.port);
    for (const piece of pieces) {
      await client.send(piece);
      await nextTurn();
    }
    return { said: await client.drained(), mails: intake.mails.map(({ raw }) => raw.toString()) };
  };
  const whole = await play([session]);
  assert.equal(whole.mails.length, 2);
  assert.match(whole.said, /^220 [^]*\r\n221 2\.0\.0 Bye\r\n$/);
  assert.deepEqual(await play(Array.from(session, (byte) => Buffer.of(byte))), whole);
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.nat(session.length), { maxLength: 8 }), async (cuts) => {
      const places = [0, ...cuts.toSorted((a, b) => a - b), session.length];
      const pieces = places.slice(1).map((place, i) => session.subarray(places[i], place));
      assert.deepEqual(await play(pieces), whole);
    }),
    { numRuns: 100 },
  );
});

test("a client that ends its side right after its last byte still gets every reply", async () => {
  const intake = new MemoryIntake(to);
  const gate = Promise.withResolvers<void>();
  intake.onReceive = async () => {
    await gate.promise;
    return { kind: "stored", receipt: "x" };
  };
  await using door = await openDoor(intake);
  await using client = await SmtpClient.ready(door.address.port);
  await client.send(`${oneMail}NOOP\r\n`);
  client.endInput();
  assert.deepEqual(await client.codes(3), [250, 250, 354]);
  gate.resolve();
  assert.deepEqual(await client.codes(2), [250, 250]);
  await client.closed();
});

test("a sender that goes on while its mail is committed is stopped after a bounded number of bytes", async () => {
  const intake = new MemoryIntake(to);
  const gate = Promise.withResolvers<void>();
  intake.onReceive = async () => {
    await gate.promise;
    return { kind: "stored", receipt: "x" };
  };
  await using door = await openDoor(intake);
  await using client = await SmtpClient.ready(door.address.port);
  await client.send(oneMail);
  assert.deepEqual(await client.codes(3), [250, 250, 354]);
  const flood = Buffer.from("NOOP\r\n".repeat(100_000));
  const rounds = 60;
  const sent = (async () => {
    for (let i = 0; i < rounds; i++) await client.send(flood);
  })();
  // Socket buffers of both sides hold a few megabytes; had the server read on, all would leave.
  let last = -1;
  for (let stalledTurns = 0; stalledTurns < 1000; stalledTurns++) {
    const left = client.socket.bytesWritten - client.socket.writableLength;
    if (left !== last) stalledTurns = 0;
    last = left;
    await nextTurn();
  }
  assert.ok(last < 20_000_000, `${last} bytes were taken`);
  gate.resolve();
  assert.equal((await client.reply()).lines[0], "250 2.0.0 x");
  assert.deepEqual([...new Set(await client.codes(100_000))], [250], "and what waited is answered");
  client.socket.destroy();
  await sent.catch(() => undefined);
});
