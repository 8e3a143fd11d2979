import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { IncomingMail, ReceiveResult } from "../src/smtp/intake.ts";
import { ByteBudget } from "../src/smtp/byte-budget.ts";
import { CommitTurns } from "../src/smtp/commit-turns.ts";
import { Spool } from "../src/smtp/spool.ts";
import { sendLargeMails } from "./faults/large-mails.ts";
import { Random } from "./support/random.ts";
import { SmtpClient } from "./support/smtp-client.ts";
import { MemoryIntake, noMetrics, openDoor } from "./support/smtp-door.ts";
import { TemporaryDirectory } from "./support/temporary-directory.ts";
import { until } from "./support/until.ts";

const from = "s@there.example";
const to = "demo@ours.example";

/** Lines of random length and content, with dots where they matter. */
function bodyOf(bytes: number): string {
  const random = new Random(7);
  let body = "";
  while (body.length < bytes) body += `${random.chance(0.1) ? "x." : "x"}${"y".repeat(random.integer(0, 200))}\r\n`;
  return body;
}

describe("a mail that goes through a file", () => {
  test("arrives byte for byte, whatever its size and however it is cut, and leaves nothing behind", async () => {
    using directory = new TemporaryDirectory();
    const intake = new MemoryIntake(to);
    let spooled = 0;
    await using door = await openDoor(intake, {
      limits: { spoolBytes: 1000 },
      spool: await Spool.open({ dir: directory.path }),
      metrics: { ...noMetrics, mailSpooled: () => void spooled++ },
    });
    await using client = await SmtpClient.ready(door.address.port);
    for (const bytes of [500, 1500, 7000, 70_000, 300_000, 1_000_000]) {
      const body = bodyOf(bytes);
      await client.startMail(from, to);
      for (let at = 0; at < body.length; at += 9_999) await client.send(body.slice(at, at + 9_999));
      assert.equal((await client.command(".")).code, 250);
      const raw = intake.mails.at(-1)?.raw;
      assert.ok(raw !== undefined && raw.equals(Buffer.from(body)), `${bytes} bytes`);
      if (bytes > 9_999)
        assert.equal(raw.byteLength, raw.buffer.byteLength, "it can be handed to another thread whole");
    }
    assert.equal(spooled, 3, "a small mail stays in memory, and where there is plenty one of 8 times that size");
    assert.deepEqual(readdirSync(directory.path), []);
  });

  test("and breaks off, is refused or becomes too large leaves nothing behind either", async () => {
    using directory = new TemporaryDirectory();
    const intake = new MemoryIntake(to);
    await using door = await openDoor(intake, {
      limits: { spoolBytes: 1000, maxMessageBytes: 300_000 },
      spool: await Spool.open({ dir: directory.path }),
    });
    const before = openFiles(directory.path);
    for (const end of ["", "bare\n.\r\n.\r\n", `${bodyOf(300_000)}.\r\n`]) {
      await using client = await SmtpClient.ready(door.address.port);
      await client.startMail(from, to);
      await client.send(bodyOf(100_000) + end);
      if (end !== "") assert.ok([552, 554].includes((await client.reply()).code));
    }
    await until("all files are closed", () => openFiles(directory.path) === before);
    assert.deepEqual(intake.mails, []);
  });

  test("gets 452 while the disk has no room or the file cannot be made, and the connection goes on", async () => {
    using directory = new TemporaryDirectory();
    const dir = join(directory.path, "spool");
    const intake = new MemoryIntake(to);
    let hasRoom = false;
    await using door = await openDoor(intake, {
      limits: { spoolBytes: 1000 },
      spool: await Spool.open({ dir, hasRoom: () => hasRoom }),
    });
    await using client = await SmtpClient.ready(door.address.port);
    const send = async (): Promise<string> => {
      await client.startMail(from, to);
      return (await client.command(`${bodyOf(200_000)}.`)).lines[0] ?? "";
    };
    assert.match(await send(), /^452 4\.3\.1 /);
    hasRoom = true;
    assert.match(await send(), /^250 /);
    rmSync(dir, { recursive: true });
    assert.match(await send(), /^452 4\.3\.1 /);
    mkdirSync(dir);
    assert.match(await send(), /^250 /);
    assert.equal(intake.mails.length, 2);
  });

  test("finds an empty directory at each start, which nobody else may enter", async () => {
    using directory = new TemporaryDirectory();
    const dir = join(directory.path, "spool");
    await Spool.open({ dir });
    writeFileSync(join(dir, "left"), "behind");
    await Spool.open({ dir });
    assert.deepEqual(readdirSync(dir), []);
    assert.equal(statSync(dir).mode & 0o777, 0o700);
  });

  test("is in memory again only when it has its turn", async (t) => {
    using directory = new TemporaryDirectory();
    const intake = new MemoryIntake(to);
    const spool = await Spool.open({ dir: directory.path });
    const asked = t.mock.method(spool.turns, "enter");
    const count = 12;
    let inMemory = 0;
    let most = 0;
    const hold = async (mail: IncomingMail): Promise<ReceiveResult> => {
      most = Math.max(most, (inMemory += mail.raw.length));
      await until("every mail is complete in its file", () => asked.mock.callCount() === count);
      await new Promise((resolve) => setImmediate(resolve));
      inMemory -= mail.raw.length;
      return { kind: "stored", receipt: "x" };
    };
    intake.onReceive = hold;
    const limits = { spoolBytes: 500_000 };
    await using door = await openDoor(intake, { limits, spool });
    const codes = await sendLargeMails({ port: door.address.port, to, count, bytes: 6_000_000 });
    assert.deepEqual(new Set(codes), new Set([250]));
    assert.ok(most <= 16 * 1024 * 1024, `${most} bytes at once`);
    assert.ok(most > 6_000_000, "not more slowly than it has to be");
  });
});

describe("when the memory for mails is full", () => {
  test("at a sixteenth a mail goes to a file that could stay otherwise, until whoever holds it ends in any way", async () => {
    using directory = new TemporaryDirectory();
    const intake = new MemoryIntake(to);
    let spooled = 0;
    await using door = await openDoor(intake, {
      limits: { spoolBytes: 1000, maxBufferedBytes: 128_000, maxMessageBytes: 30_000 },
      spool: await Spool.open({ dir: directory.path }),
      metrics: { ...noMetrics, mailSpooled: () => void spooled++ },
    });
    const { port } = door.address;
    await using other = await SmtpClient.ready(port);
    const spools = async (bytes: number): Promise<boolean> => {
      const before = spooled;
      await other.startMail(from, to);
      assert.equal((await other.command(`${"x".repeat(bytes - 2)}\r\n.`)).code, 250);
      return spooled > before;
    };
    const chunk = (octets: string, last = ""): string => `BDAT ${octets.length}${last}\r\n${octets}`;
    const ends: ((client: SmtpClient) => Promise<unknown>)[] = [
      async (client) => assert.equal((await client.command("BDAT 0 LAST")).code, 250),
      async (client) => assert.equal((await client.command("RSET")).code, 250),
      async (client) => client[Symbol.asyncDispose](),
      async (client) => (await client.send(chunk("bare\n")), assert.equal((await client.reply()).code, 554)),
      async (client) => (await client.send(chunk("x".repeat(30_000))), assert.equal((await client.reply()).code, 552)),
      async (client) => (await client.send(chunk("x".repeat(20_000))), assert.equal((await client.reply()).code, 250)),
    ];
    for (const [i, end] of ends.entries()) {
      await using client = await SmtpClient.ready(port);
      await client.send(`MAIL FROM:<${from}>\r\nRCPT TO:<${to}>\r\n${chunk(bodyOf(6000))}`);
      assert.deepEqual(await client.codes(3), [250, 250, 250]);
      assert.ok(await spools(3000), "there is no plenty any more");
      assert.ok(!(await spools(1000)), "a small mail stays in memory all the same");
      await end(client);
      await until("its connection is gone, where it is", () => i !== 2 || door.connectionCount === 1);
      assert.ok(!(await spools(7900)), `what it held is given back, end ${i}`);
    }
  });

  test("senders wait while the house is about to give some back, and nobody is refused", async () => {
    using directory = new TemporaryDirectory();
    const intake = new MemoryIntake(to);
    const gate = Promise.withResolvers<ReceiveResult>();
    intake.onReceive = () => gate.promise;
    let spooled = 0;
    await using door = await openDoor(intake, {
      limits: { maxBufferedBytes: 100_000, idleTimeoutMs: 300 },
      spool: await Spool.open({ dir: directory.path }),
      metrics: { ...noMetrics, mailSpooled: () => void spooled++ },
    });
    await using first = await SmtpClient.ready(door.address.port);
    await using second = await SmtpClient.ready(door.address.port);
    await first.startMail(from, to);
    await second.startMail(from, to);
    await first.send(`${bodyOf(80_000)}.\r\n`);
    await until("it is handed over", () => intake.asked.length === 2);
    await second.send(`${bodyOf(50_000)}.\r\n`);
    await using idle = await SmtpClient.ready(door.address.port);
    assert.equal((await idle.reply()).code, 421, "so long it has waited, and that is not its fault");
    gate.resolve({ kind: "stored", receipt: "x" });
    assert.equal((await first.reply()).code, 250);
    assert.equal((await second.reply()).code, 250);
    assert.equal(spooled, 0);
    assert.equal(intake.mails.length, 2);
  });

  test("a mail goes to a file where slow senders hold it, so that they hold up nobody", async () => {
    using directory = new TemporaryDirectory();
    const intake = new MemoryIntake(to);
    await using door = await openDoor(intake, {
      limits: { maxBufferedBytes: 100_000 },
      spool: await Spool.open({ dir: directory.path }),
    });
    await using slow = await SmtpClient.ready(door.address.port);
    await slow.startMail(from, to);
    await slow.send(bodyOf(80_000));
    await using quick = await SmtpClient.ready(door.address.port);
    await quick.startMail(from, to);
    assert.equal((await quick.command(`${bodyOf(90_000)}.`)).code, 250);
    assert.equal((await slow.command(`${bodyOf(90_000)}.`)).code, 250);
    assert.equal(intake.mails.length, 2);
  });

  test("who waits is served in turn, and is told at once when waiting has no known end", async () => {
    const budget = new ByteBudget(100);
    assert.ok(budget.take(80));
    assert.equal(await budget.wait(30), false, "a sender holds it");
    budget.handOver(80);
    const first = budget.wait(30);
    const second = budget.wait(10);
    assert.equal(budget.take(5), false, "nobody overtakes");
    budget.give(80, 80);
    assert.deepEqual(await Promise.all([first, second]), [true, true]);
    assert.ok(budget.take(60));
    budget.handOver(60);
    const third = budget.wait(50);
    budget.give(20, 20);
    assert.equal(await third, false, "less than half is the house's now");
  });
});

test("turns go to mails in order: several while they fit, or one of any size", async () => {
  const turns = new CommitTurns(100);
  const order: string[] = [];
  const enter = (name: string, bytes: number): Promise<void> => turns.enter(bytes).then(() => void order.push(name));
  await enter("a", 60);
  await enter("b", 40);
  const huge = enter("huge", 500);
  const small = enter("small", 1);
  turns.leave(60);
  await Promise.resolve();
  assert.deepEqual(order, ["a", "b"]);
  turns.leave(40);
  await huge;
  assert.deepEqual(order, ["a", "b", "huge"]);
  turns.leave(500);
  await small;
});

/** Files of a directory that this process has open, with or without a name. */
function openFiles(directory: string): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(directory);
    } catch {
      return false;
    }
  }).length;
}
