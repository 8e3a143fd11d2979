import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReceiveResult } from "../src/smtp/intake.ts";
import type { SmtpMetrics } from "../src/smtp/metrics.ts";
import { SmtpClient } from "./support/smtp-client.ts";
import { MemoryIntake, noMetrics, openDoor, type DoorOptions } from "./support/smtp-door.ts";

const to = "demo@ours.example";
const from = "s@there.example";
const envelope = `MAIL FROM:<${from}>\r\nRCPT TO:<${to}>\r\n`;

/** Sends everything in one segment, ends the input, and gives back the first line of each reply after EHLO. */
async function converse(sent: string, options: DoorOptions = {}): Promise<{ said: string[]; mails: string[] }> {
  const intake = new MemoryIntake(to);
  await using door = await openDoor(intake, options);
  await using client = await SmtpClient.ready(door.address.port);
  await client.send(Buffer.from(sent, "latin1"));
  client.endInput();
  const lines = (await client.drained()).split("\r\n");
  assert.equal(lines.pop(), "", "the last reply is whole");
  return { said: lines, mails: intake.mails.map(({ raw }) => raw.toString("latin1")) };
}

const taken = "250 2.0.0 receipt-0";
const accepted = ["250 2.1.0 Sender OK", "250 2.1.5 Recipient OK"];

test("a mail comes in by chunks, byte for byte, and only the last one promises anything", async () => {
  const { said, mails } = await converse(`${envelope}BDAT 3\r\na\r\nBDAT 7\r\n.\r\n\r\n..BDAT 0 LAST\r\nQUIT\r\n`);
  assert.deepEqual(said, [
    ...accepted,
    "250 2.0.0 3 octets received",
    "250 2.0.0 7 octets received",
    taken,
    "221 2.0.0 Bye",
  ]);
  assert.deepEqual(mails, ["a\r\n.\r\n\r\n.."]);
});

test("octets of a refused chunk are never commands, sent in one segment with the commands before", async () => {
  const attack = "RSET\r\nMAIL FROM:<smuggled@x>\r\n";
  const chunk = `BDAT ${attack.length}\r\n${attack}`;
  const tooEarly = "503 5.5.1 Say MAIL first";
  assert.deepEqual((await converse(`${chunk}${chunk}NOOP\r\n`)).said, [tooEarly, tooEarly, "250 2.0.0 OK"]);
  const nobody = `MAIL FROM:<${from}>\r\nRCPT TO:<nobody@ours.example>\r\n`;
  const { said, mails } = await converse(`${nobody}${chunk}BDAT 2 LAST\r\nxxNOOP\r\n`);
  assert.deepEqual(said, [
    "250 2.1.0 Sender OK",
    "550 5.1.1 No such mailbox here",
    "554 5.5.1 No valid recipients",
    "554 5.5.1 No valid recipients",
    "250 2.0.0 OK",
  ]);
  assert.deepEqual(mails, []);
});

test("after the last chunk another is refused and read to its end", async () => {
  const { said, mails } = await converse(`${envelope}BDAT 1 LAST\r\naBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n`);
  assert.deepEqual(said, [...accepted, taken, "503 5.5.1 Say MAIL first", "250 2.0.0 OK"]);
  assert.deepEqual(mails, ["a"]);
});

test("a size that cannot be read ends the connection, because nobody knows where the octets end", async () => {
  const long = `BDAT ${"1".repeat(5000)}`;
  for (const line of [
    "BDAT",
    "BDAT -1",
    "BDAT +1",
    "BDAT 1e3",
    "BDAT 0x10",
    "BDAT 6 FIRST",
    "BDAT 6 LAST LAST",
    long,
  ]) {
    for (const text of [line, line.toLowerCase(), ` ${line}`]) {
      const { said } = await converse(`${envelope}${text}\r\nQUIT\r\n`);
      assert.deepEqual(said, [...accepted, "501 5.5.4 BDAT takes a number of octets, and LAST or nothing"], text);
    }
  }
  for (const text of ["BDAT 6\t", "BDAT\0 6", "BDAT 6 \xff", "BDATA 6", `BDAT ${"9".repeat(16)}`]) {
    assert.equal((await converse(`${text}\r\nQUIT\r\n`)).said[0]?.slice(0, 9), "501 5.5.4", text);
  }
  // This much can be counted, and would be read to its end.
  assert.deepEqual((await converse(`BDAT ${"9".repeat(15)} LAST\r\nQUIT\r\n`)).said, []);
});

test("DATA and BDAT do not mix in one mail, and may follow each other in one session", async () => {
  const { said, mails } = await converse(
    `${envelope}BDAT 1\r\naDATA\r\nRCPT TO:<${to}>\r\n${envelope}BDAT 1 LAST\r\nb${envelope}DATA\r\nc\r\n.\r\n`,
  );
  const open = "503 5.5.1 A mail has begun with BDAT, go on with it or say RSET";
  assert.deepEqual(said.slice(2, 7), [
    "250 2.0.0 1 octets received",
    open,
    open,
    "503 5.5.1 A mail is already open, say RSET to drop it",
    open,
  ]);
  assert.deepEqual(mails, ["ab", "c\r\n"]);
});

test("a mail over the size limit is refused with the chunk that is too much, and so are all that follow", async () => {
  const refused = "552 5.3.4 Mail is too large";
  const options: DoorOptions = { limits: { maxMessageBytes: 10, maxErrors: 2 } };
  const more = "BDAT 6\r\nQUIT\r\n".repeat(20);
  const { said, mails } = await converse(`${envelope}BDAT 6\r\n123456${more}BDAT 0 LAST\r\nNOOP\r\n`, options);
  assert.deepEqual(said.slice(2), ["250 2.0.0 6 octets received", ...Array<string>(21).fill(refused), "250 2.0.0 OK"]);
  assert.deepEqual(mails, []);
  const exact = await converse(`${envelope}BDAT 6\r\n123456BDAT 4 LAST\r\n7890`, options);
  assert.deepEqual(exact.mails, ["1234567890"]);
});

test("RSET and EHLO drop what has come of a mail by chunks", async () => {
  for (const drop of ["RSET", "HELO x"]) {
    const { said, mails } = await converse(`${envelope}BDAT 1\r\na${drop}\r\n${envelope}BDAT 1 LAST\r\nb`);
    assert.equal(said.length, 7);
    assert.deepEqual(mails, ["b"]);
  }
});

test("a bare CR or LF refuses the mail, wherever its chunks are cut, and the connection stays usable", async () => {
  const refused = "554 5.6.0 Mail holds a bare CR or LF, and BINARYMIME is not offered";
  for (const chunks of [["a\nb"], ["a\rb"], ["a\r", "b"], ["a\r"], ["\n"], ["a", "\nb"], ["\r\n\r\r\n"]]) {
    const sent = chunks.map((octets) => `BDAT ${octets.length}\r\n${octets}`).join("");
    const { said, mails } = await converse(`${envelope}${sent}BDAT 0 LAST\r\nNOOP\r\n`);
    assert.deepEqual(said.slice(-2), [refused, "250 2.0.0 OK"], JSON.stringify(chunks));
    assert.deepEqual(mails, []);
  }
  const { mails } = await converse(`${envelope}BDAT 2\r\na\rBDAT 2 LAST\r\n\nb`);
  assert.deepEqual(mails, ["a\r\nb"], "a CRLF in two chunks is one");
});

test("chunks are held to the budget of all mails, and every way to end gives it back and is counted once", async () => {
  const intake = new MemoryIntake(to);
  const ended: string[] = [];
  const metrics: SmtpMetrics = { ...noMetrics, mailEnded: (outcome) => void ended.push(outcome) };
  await using door = await openDoor(intake, { limits: { maxBufferedBytes: 1000, maxMessageBytes: 2000 }, metrics });
  await using holder = await SmtpClient.ready(door.address.port);
  await using other = await SmtpClient.ready(door.address.port);
  await holder.send(envelope);
  assert.deepEqual(await holder.codes(2), [250, 250]);
  assert.equal((await holder.command(`BDAT 900\r\n${"x".repeat(898)}`)).code, 250);
  await other.send(`${envelope}BDAT 200\r\n${"y".repeat(200)}BDAT 1 LAST\r\ny`);
  assert.deepEqual(await other.codes(4), [250, 250, 452, 452]);
  assert.equal((await holder.command("RSET")).code, 250);
  await other.send(`${envelope}BDAT 900\r\n${"y".repeat(900)}`);
  assert.deepEqual(await other.codes(3), [250, 250, 250]);
  other.endInput();
  await other.closed();
  await holder.send(`${envelope}BDAT 900 LAST\r\n${"x".repeat(900)}${envelope}BDAT 1 LAST\r\n\n`);
  assert.deepEqual(await holder.codes(6), [250, 250, 250, 250, 250, 554]);
  assert.deepEqual(ended, ["no_room", "unfinished", "unfinished", "stored", "bad_line_ends"]);
});

test("mails by chunks count towards the mails of a connection, dropped ones too", async () => {
  const { said } = await converse(`${envelope}BDAT 1 LAST\r\na${envelope}BDAT 1\r\naRSET\r\n${envelope}`, {
    limits: { maxMails: 2 },
  });
  assert.deepEqual(said.slice(-1), ["421 4.7.0 Too many mails on one connection, open another"]);
});

test("stopping lets a mail by chunks come in to its end, and ends one that is refused", async () => {
  const intake = new MemoryIntake(to);
  const gate = Promise.withResolvers<ReceiveResult>();
  intake.onReceive = () => gate.promise;
  await using door = await openDoor(intake, { limits: { maxMessageBytes: 100 } });
  await using client = await SmtpClient.ready(door.address.port);
  await using refused = await SmtpClient.ready(door.address.port);
  await client.send(`${envelope}BDAT 3\r\na\r\n`);
  assert.deepEqual(await client.codes(3), [250, 250, 250]);
  await refused.send(`${envelope}BDAT 101\r\n${"x".repeat(101)}`);
  assert.deepEqual(await refused.codes(3), [250, 250, 552]);
  const drained = door.drain(60_000);
  assert.equal((await refused.reply()).code, 421);
  assert.equal((await client.command("BDAT 3\r\nb")).code, 250);
  await client.send("BDAT 0 LAST\r\nNOOP\r\n");
  gate.resolve({ kind: "stored", receipt: "kept" });
  assert.deepEqual((await client.reply()).lines, ["250 2.0.0 kept"]);
  assert.match((await client.reply()).lines[0] ?? "", /^421 4\.3\.2 /);
  await client.closed();
  client.endInput();
  refused.endInput();
  await drained;
  assert.deepEqual(
    intake.mails.map(({ raw }) => raw.toString()),
    ["a\r\nb\r\n"],
  );
});

test("a client that falls silent within a chunk or between two is closed with 421 4.4.2", async () => {
  await using door = await openDoor(new MemoryIntake(to), { limits: { idleTimeoutMs: 150 } });
  for (const sent of ["BDAT 10\r\nabc", "BDAT 3\r\nabc"]) {
    await using client = await SmtpClient.ready(door.address.port);
    await client.send(`${envelope}${sent}`);
    const lines: string[] = [];
    while (!lines.at(-1)?.startsWith("4")) lines.push(...(await client.reply()).lines);
    assert.match(lines.at(-1) ?? "", /^421 4\.4\.2 /);
    await client.closed();
  }
});

test("octets of a chunk keep a connection open, those of a command between two do not", async () => {
  await using door = await openDoor(new MemoryIntake(to), { limits: { idleTimeoutMs: 300 } });
  await using client = await SmtpClient.ready(door.address.port);
  await client.send(`${envelope}BDAT 40\r\n`);
  assert.deepEqual(await client.codes(2), [250, 250]);
  const dripping = setInterval(() => client.socket.write("x"), 20);
  try {
    assert.equal((await client.reply()).code, 250, "40 octets took 800 ms");
    assert.equal((await client.reply()).code, 421);
  } finally {
    clearInterval(dripping);
  }
});
