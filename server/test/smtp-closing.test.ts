import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { MemoryIntake, openDoor } from "./support/smtp-door.ts";
import { SmtpClient } from "./support/smtp-client.ts";
import { until } from "./support/until.ts";

/** How long a client that says no goodbye is waited for. */
const lingerMs = 2_000;

const goodbyes: Record<string, (client: SmtpClient) => Promise<unknown> | void> = {
  "after QUIT, though the client never closes its side": (client) => client.send("QUIT\r\n"),
  "once the client has closed its side": (client) => client.endInput(),
};

for (const [when, leave] of Object.entries(goodbyes)) {
  test(`a connection takes no place any more ${when}`, async () => {
    await using door = await openDoor(new MemoryIntake());
    await using client = await SmtpClient.ready(door.address.port);
    const startedMs = performance.now();
    await leave(client);
    await client.drained();
    await until("it is gone", () => door.connectionCount === 0);
    assert.ok(performance.now() - startedMs < lingerMs, "nobody was waited for");
  });
}

test("replies that a client has not read are not lost when it says QUIT", async () => {
  await using door = await openDoor(new MemoryIntake());
  await using client = await SmtpClient.ready(door.address.port);
  client.socket.pause();
  // More than the system keeps for two sockets.
  const count = 100_000;
  const sent = client.send(`${"HELP\r\n".repeat(count)}QUIT\r\n`);
  for (let turns = 0; turns < 100; turns++) await nextTurn();
  client.socket.resume();
  await sent;
  const said = await client.drained();
  assert.equal(said.split("\r\n214 ").length, count);
  assert.ok(said.endsWith("\r\n221 2.0.0 Bye\r\n"));
});

test("what comes behind QUIT is read by nobody and destroys no reply", async () => {
  await using door = await openDoor(new MemoryIntake());
  await using client = await SmtpClient.ready(door.address.port);
  await client.send("QUIT\r\nNOOP\r\n");
  assert.equal((await client.reply()).code, 221);
  await client.closed();
  await client.send("NOOP\r\n");
  assert.equal(door.connectionCount, 1, "the client may still say something");
  client.endInput();
  await until("it is gone", () => door.connectionCount === 0);
  await client.closed();
});
