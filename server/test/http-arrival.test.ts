import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { limitArrival } from "../src/http/arrival.ts";
import { until } from "./support/until.ts";

test("a body that drips is cut with 408, one that comes whole is not, and no body waits for nothing", async (t) => {
  const server = createServer((request, response) => {
    limitArrival(request, 300);
    request.resume().once("end", () => setTimeout(() => response.end("whole"), 400));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const send = async (head: string, body: string, drips = false): Promise<string> => {
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1").on("error", () => undefined);
    socket.write(`${head}\r\nHost: a\r\nConnection: close\r\n\r\n`);
    socket.write(body);
    const sending = setInterval(() => drips && socket.write("x"), 50);
    const answer = await text(socket);
    clearInterval(sending);
    return answer;
  };
  const answers = await Promise.all([
    send("POST / HTTP/1.1\r\nContent-Length: 1000", "x", true),
    send("POST / HTTP/1.1\r\nContent-Length: 5", "xxxxx"),
    send("GET / HTTP/1.1", ""),
  ]);
  assert.match(answers[0], /^HTTP\/1\.1 408 .*"code":"request_timeout"/s);
  for (const answer of answers.slice(1)) assert.match(answer, /^HTTP\/1\.1 200 .*whole$/s);
});

test("a body that is refused before it came leaves nothing behind", async (t) => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const before = timers();
  const server = createServer((request, response) => {
    limitArrival(request, 300_000);
    response.writeHead(413, { connection: "close" }).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  socket.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
  assert.match(await text(socket), /^HTTP\/1\.1 413 /);
  await until("no timer is left", () => timers() <= before);
});
