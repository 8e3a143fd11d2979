import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { buffer } from "node:stream/consumers";
import { setImmediate } from "node:timers/promises";
import { describe, test } from "node:test";
import type { SeedPush } from "@catmails/client";
import { House, type Person } from "./support/house.ts";
import { followers, readMetric } from "./support/metric-reader.ts";
import { parseServerFrames } from "./support/server-frames.ts";
import { openDeafSocket, openSocket } from "./support/socket-client.ts";
import { until } from "./support/until.ts";

const mebibyte = 1024 * 1024;

describe("one client's trouble is nobody else's", () => {
  async function putMany(house: House, person: Person, count: number, content: string): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => house.put(person, { content })));
  }

  /** Everything that was sent to a socket that reads nothing until the server has closed it. */
  async function hearOnceClosed(house: House, deaf: Socket): Promise<Buffer> {
    await until("a socket is closed", async () => (await readMetric(house.metrics.socketsClosed, "1013")) > 0);
    return await buffer(deaf);
  }

  for (const [what, size, count] of [
    ["ordinary mails", 50_000, 480],
    ["mails that leave in fragments", mebibyte, 24],
  ] as const) {
    test(`a reader that never reads ${what} costs little, is closed with 1013 and its cursor, and can go on from it`, async () => {
      await using house = await House.open({ socket: { stallTimeoutMs: 1000 } });
      const person = await house.addPerson("demo");
      const deaf = await openDeafSocket(house.origin, `key=${person.key}`);
      const heard = hearOnceClosed(house, deaf);
      using reader = await openSocket(house.origin, { key: person.key });
      await putMany(house, person, count, "x".repeat(size));
      for (let id = 1; id <= count; id++) assert.equal((await reader.next()).id, id);
      const frames = parseServerFrames(await heard);
      const pushed = (await readMetric(house.metrics.pushedMails)) - count;
      // What the operating system takes for a connection, and one queue of ours.
      assert.ok(pushed * size < 16 * mebibyte, `${pushed} mails were written to a socket that nobody reads`);
      await followers(house, 1);
      const goodbye = frames.at(-1);
      assert.deepEqual([goodbye?.opcode, goodbye?.payload.readUInt16BE(0)], [8, 1013]);
      const received = messagesOf(frames);
      assert.deepEqual(
        received,
        Array.from({ length: received.length }, (_, i) => i + 1),
      );
      assert.equal(goodbye?.payload.toString("utf8", 2), `since=${received.length}`);
      using next = await openSocket(house.origin, `key=${person.key}&${goodbye?.payload.toString("utf8", 2)}`);
      for (let id = received.length + 1; id <= count; id++) assert.equal((await next.next()).id, id);
    });
  }

  /** Ids of the messages that arrived whole. */
  function messagesOf(frames: ReturnType<typeof parseServerFrames>): number[] {
    const ids: number[] = [];
    let parts: Buffer[] = [];
    for (const { opcode, isLast, payload } of frames) {
      if (opcode > 2) continue;
      parts.push(payload);
      if (!isLast) continue;
      ids.push((JSON.parse(Buffer.concat(parts).toString()) as SeedPush).id);
      parts = [];
    }
    return ids;
  }

  test("a slow reader that goes on reading gets everything, in order", async () => {
    await using house = await House.open({ socket: { maxBufferedBytes: 1 } });
    const person = await house.addPerson("demo");
    const slow = await openDeafSocket(house.origin, `key=${person.key}`);
    await putMany(house, person, 300, "x".repeat(50_000));
    const chunks: Buffer[] = [];
    for await (const chunk of slow as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      await setImmediate();
      if (Buffer.concat(chunks.slice(-2)).includes('"id":300}')) break;
    }
    assert.deepEqual(
      messagesOf(parseServerFrames(Buffer.concat(chunks))),
      Array.from({ length: 300 }, (_, i) => i + 1),
    );
  });

  test("a mail of 10 MB passes as one message, and small ones before and after it keep their order", async () => {
    await using house = await House.open();
    const person = await house.addPerson("demo");
    using one = await openSocket(house.origin, { key: person.key });
    using two = await openSocket(house.origin, { key: person.key });
    const content = "☃ 10 MB ".repeat(1_000_000);
    await house.put(person);
    await house.put(person, { content });
    await house.put(person);
    for (const socket of [one, two]) {
      assert.equal((await socket.next()).id, 1);
      const big = await socket.next();
      assert.equal(big.id, 2);
      assert.ok(big.content === content);
      assert.equal((await socket.next()).id, 3);
    }
    using replay = await openSocket(house.origin, { key: person.key, since: "1" });
    assert.ok((await replay.next()).content === content);
  });

  test("a peer that answers no ping is dropped, one that does stays", async () => {
    await using house = await House.open({ socket: { pingIntervalMs: 100, deadTimeoutMs: 1000 } });
    const person = await house.addPerson("demo");
    using living = await openSocket(house.origin, { key: person.key });
    const dead = await openDeafSocket(house.origin, `key=${person.key}`);
    await followers(house, 1);
    for (let i = 0; i < 10; i++) await once(living.ws, "ping");
    dead.resume();
    await once(dead, "close");
    await house.put(person);
    assert.equal((await living.next()).id, 1);
  });

  test("a client that talks without end is closed with 1008, by messages, by pings and by pongs", async () => {
    await using house = await House.open();
    const person = await house.addPerson("demo");
    using talker = await openSocket(house.origin, { key: person.key });
    for (let i = 0; i < 101; i++) talker.ws.send("hello");
    assert.deepEqual(await talker.closed, { code: 1008, reason: "Too many messages" });
    using pinger = await openSocket(house.origin, { key: person.key });
    for (let i = 0; i < 101; i++) pinger.ws.ping();
    assert.equal((await pinger.closed).code, 1008);
    using ponger = await openSocket(house.origin, { key: person.key });
    for (let i = 0; i < 101; i++) ponger.ws.pong();
    assert.equal((await ponger.closed).code, 1008);
  });

  test("a client that talks on after that is cut off", async () => {
    await using house = await House.open();
    const person = await house.addPerson("demo");
    const flood = await openDeafSocket(house.origin, `key=${person.key}`);
    const cut = new Promise((resolve) => flood.once("close", resolve));
    const pings = Buffer.alloc(mebibyte, Buffer.from([0x89, 0x80, 0, 0, 0, 0]));
    let taken = 0;
    const count = (error?: Error | null): void => void (taken += error ? 0 : 1);
    for (let i = 0; i < 64; i++) flood.write(pings, count);
    flood.resume();
    await cut;
    assert.ok(taken < 16, `${taken} MiB of pings were taken`);
  });

  test("a few messages are ignored, a ping is answered, and a message over 4 KiB closes with 1009", async () => {
    await using house = await House.open();
    const person = await house.addPerson("demo");
    using socket = await openSocket(house.origin, { key: person.key });
    socket.ws.send("hello");
    socket.ws.ping("are you there?");
    const [pong] = (await once(socket.ws, "pong")) as [Buffer];
    assert.equal(pong.toString(), "are you there?");
    await house.put(person);
    assert.equal((await socket.next()).id, 1);
    socket.ws.send("x".repeat(4097));
    assert.equal((await socket.closed).code, 1009);
    await followers(house, 0);
  });

  test("a client that cuts its connection leaves nothing behind", async () => {
    await using house = await House.open();
    const person = await house.addPerson("demo");
    const sockets = await Promise.all(Array.from({ length: 50 }, () => openSocket(house.origin, { key: person.key })));
    await followers(house, 50);
    for (const socket of sockets) socket.ws.terminate();
    await followers(house, 0);
  });

  test("a stop closes sockets with 1001 and the cursor to go on from", async () => {
    await using house = await House.open();
    const person = await house.addPerson("demo");
    const other = await house.addAlias(person, `alias-${person.address}`);
    using socket = await openSocket(house.origin, { key: person.key });
    using filtered = await openSocket(house.origin, { key: person.key, mail: other.address });
    await house.put(person);
    await house.put(person);
    await socket.next();
    await socket.next();
    await house.http.drain(60_000);
    assert.deepEqual(await socket.closed, { code: 1001, reason: "since=2" });
    assert.deepEqual(await filtered.closed, { code: 1001, reason: "since=2" });
  });
});

test("many readers that come back for one big mail and do not read hold it once", async () => {
  await using house = await House.open();
  const person = await house.addPerson("demo");
  await house.put(person, { content: "x".repeat(4 * mebibyte) });
  const before = process.memoryUsage().arrayBuffers;
  const deaf = await Promise.all(
    Array.from({ length: 50 }, () => openDeafSocket(house.origin, `key=${person.key}&since=0`)),
  );
  await until("all have it in hand", async () => (await readMetric(house.metrics.pushedMails)) === deaf.length);
  const grown = process.memoryUsage().arrayBuffers - before;
  for (const socket of deaf) socket.destroy();
  assert.ok(grown < 50 * mebibyte, `50 readers of 4 MiB hold ${Math.round(grown / mebibyte)} MiB`);
});
