import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { onChunk } from "../src/smtp/direct-chunks.ts";

/** Two ends of one connection. */
async function socketPair(): Promise<{ sender: Socket; reader: Socket; [Symbol.dispose](): void }> {
  const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const sender = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [reader] = (await once(server, "connection")) as [Socket];
  server.close();
  return {
    sender,
    reader,
    [Symbol.dispose]() {
      sender.destroy();
      reader.destroy();
    },
  };
}

function numbered(bytes: number): Buffer {
  const all = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += 4) all.writeUInt32BE(at, at);
  return all;
}

await test("chunks come in order and whole, however often reading is held up", async () => {
  using pair = await socketPair();
  const { sender, reader } = pair;
  const sent = numbered(8 * 1024 * 1024);
  const taken: Buffer[] = [];
  let pauses = 0;
  onChunk(reader, (chunk) => {
    taken.push(chunk);
    if (taken.length % 3 !== 0) return;
    reader.pause();
    pauses++;
    setImmediate(() => setImmediate(() => reader.resume()));
  });
  sender.end(sent);
  await once(reader, "end");
  assert.ok(Buffer.concat(taken).equals(sent));
  assert.ok(pauses > 5, `reading was held up ${pauses} times`);
});

await test("what was put back comes before what is read", async () => {
  using pair = await socketPair();
  const { sender, reader } = pair;
  sender.write("first ");
  await once(reader, "readable");
  reader.unshift(reader.read() as Buffer);
  let text = "";
  const whole = new Promise<void>((resolve) => {
    onChunk(reader, (chunk) => {
      text += chunk.toString();
      if (text.length >= 12) resolve();
    });
  });
  sender.write("second");
  reader.resume();
  await whole;
  assert.equal(text, "first second");
});

await test("a sender is held up while nothing is taken", async () => {
  using pair = await socketPair();
  const { sender, reader } = pair;
  const sent = numbered(64 * 1024 * 1024);
  const total = { bytes: 0 };
  onChunk(reader, (chunk) => {
    if (total.bytes === 0) reader.pause();
    total.bytes += chunk.length;
  });
  sender.end(sent);
  await once(reader, "pause");
  // The stream's own queue fills up, and then the source is not read any more.
  while (reader.readableLength < reader.readableHighWaterMark) await new Promise(setImmediate);
  const held = reader.readableLength;
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  assert.equal(reader.readableLength, held);
  assert.ok(held <= reader.readableHighWaterMark + 65_536, `${held} bytes wait in memory`);
  reader.resume();
  await once(reader, "end");
  assert.equal(total.bytes, sent.length);
});
