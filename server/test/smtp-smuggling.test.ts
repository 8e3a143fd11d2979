import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { corpus, skipWithout } from "./support/corpora.ts";
import { SmtpClient } from "./support/smtp-client.ts";
import { MemoryIntake, openDoor } from "./support/smtp-door.ts";

interface Sequence {
  id: string;
  hex: string;
}

/** What a server under attack ended up with: the senders of its mails, one for each. */
interface Victim {
  port: number;
  isOurs: boolean;
  senders(): string[];
}

const opening = "EHLO a\r\nMAIL FROM:<honest@x.example>\r\nRCPT TO:<demo@ours.example>\r\nDATA\r\n";
const victimLimits = { limits: { maxConnections: 10_000, maxConnectionsPerIp: 10_000 } };

function attackOf(sequence: Sequence): Buffer {
  return Buffer.concat([
    Buffer.from("Subject: first\r\n\r\none"),
    Buffer.from(sequence.hex, "hex"),
    Buffer.from("MAIL FROM:<smuggled@x>\r\nRCPT TO:<demo@ours.example>\r\nDATA\r\n"),
    Buffer.from("Subject: second\r\n\r\ntwo\r\n.\r\n"),
  ]);
}

function sequences(): Sequence[] {
  const folder = corpus("smtp-smuggling");
  if (folder === null) return [];
  const parsed = JSON.parse(readFileSync(join(folder, "sequences.json"), "utf8")) as { must_not_end_data: Sequence[] };
  return parsed.must_not_end_data;
}

/** Sends the pieces in turn, each in its own turn of the loop, then ends the input and waits for the end. */
async function attack(victim: Victim, pieces: Buffer[]): Promise<string[]> {
  const before = victim.senders().length;
  const client = await SmtpClient.connect(victim.port, victim);
  try {
    for (const piece of pieces) {
      await client.send(piece);
      await nextTurn();
    }
    client.endInput();
    await client.drained();
  } finally {
    client.socket.destroy();
  }
  return victim.senders().slice(before);
}

function faultOf(senders: string[]): string | null {
  if (senders.some((sender) => sender.includes("smuggled"))) return "a smuggled mail was taken";
  return senders.length > 1 ? "a second mail was taken" : null;
}

/** Runs every attack on a server of its own, some at a time; gives back what went wrong. */
async function attackAll(open: () => Promise<Victim & AsyncDisposable>, split: boolean): Promise<string[]> {
  const attacks = sequences().flatMap((sequence) => {
    const bytes = Buffer.concat([Buffer.from(opening), attackOf(sequence)]);
    const offsets = split ? bytes.keys().drop(opening.length) : [0];
    return Array.from(offsets, (offset) => ({ id: sequence.id, offset, bytes }));
  });
  const faults: string[] = [];
  const work = attacks.values();
  const worker = async (): Promise<void> => {
    await using victim = await open();
    for (const { id, offset, bytes } of work) {
      const fault = faultOf(await attack(victim, [bytes.subarray(0, offset), bytes.subarray(offset)]));
      if (fault !== null) faults.push(`${id} cut at ${offset}: ${fault}`);
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  return faults;
}

async function openOurs(): Promise<Victim & AsyncDisposable> {
  const intake = new MemoryIntake("demo@ours.example");
  const door = await openDoor(intake, victimLimits);
  return {
    port: door.address.port,
    isOurs: true,
    senders: () => intake.mails.map(({ from }) => from),
    [Symbol.asyncDispose]: () => door[Symbol.asyncDispose](),
  };
}

/** A server with the mistake that smuggling lives on: any line end, or none, before and after the dot will do. */
async function openLax(): Promise<Victim & AsyncDisposable> {
  const senders: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    let input = "";
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => (input += chunk.toString("latin1")));
    socket.on("end", () => {
      const mail = /MAIL FROM:<([^>]*)>[^]*?DATA\r\n[^]*?(?:\r\n|\r|\n)\.(?:\r\n|\r|\n)/g;
      for (const match of input.matchAll(mail)) senders.push(match[1] ?? "");
      socket.end("250 OK\r\n");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    isOurs: false,
    senders: () => senders,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const skip = skipWithout("smtp-smuggling");

test("no sequence of the corpus ends a mail early, sent whole", { skip }, async () => {
  assert.equal(sequences().length, 18);
  assert.deepEqual(await attackAll(openOurs, false), []);
});

test("no sequence of the corpus ends a mail early, cut in two at every byte", { skip }, async () => {
  assert.deepEqual(await attackAll(openOurs, true), []);
});

test("the same attacks are seen to work on a server that is lax about line ends", { skip }, async () => {
  const faults = await attackAll(openLax, false);
  assert.ok(faults.some((fault) => fault.startsWith("lf.lf ")));
  assert.ok(faults.some((fault) => fault.startsWith("cr.cr ")));
  assert.ok(faults.length >= 10, `only ${faults.length} attacks worked`);
});

for (const [name, line] of [
  ["LF", "one\ntwo\r\n"],
  ["CR", "one\rtwo\r\n"],
] as const) {
  test(`a bare ${name} in a mail is refused at its end, and the connection closed`, async () => {
    const intake = new MemoryIntake("demo@ours.example");
    await using door = await openDoor(intake);
    await using client = await SmtpClient.ready(door.address.port);
    await client.startMail("s@there.example", "demo@ours.example");
    await client.send(`${line}.\r\nNOOP\r\nQUIT\r\n`);
    assert.deepEqual(await client.reply(), {
      code: 554,
      lines: ["554 5.6.0 Mail holds a bare CR or LF, lines end with CRLF"],
    });
    await client.closed();
    assert.deepEqual(intake.mails, []);
  });

  test(`a bare ${name} among commands is refused, and the connection closed`, async () => {
    const intake = new MemoryIntake("demo@ours.example");
    await using door = await openDoor(intake);
    await using client = await SmtpClient.ready(door.address.port);
    await client.send(`NOOP ${line}NOOP\r\n`);
    assert.equal((await client.reply()).code, 500);
    await client.closed();
  });
}

test("a mail all of whose lines end with a bare LF is answered without waiting for an end that never comes", async () => {
  await using door = await openDoor(new MemoryIntake("demo@ours.example"), { limits: { idleTimeoutMs: 200 } });
  await using client = await SmtpClient.ready(door.address.port);
  await client.startMail("s@there.example", "demo@ours.example");
  await client.send("Subject: x\n\none\n.\n");
  assert.equal((await client.reply()).code, 554);
  await client.closed();
});
