import assert from "node:assert/strict";
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { Readable } from "node:stream";
import { test } from "node:test";
import { House } from "./support/house.ts";
import { rawMails } from "./support/ingest-client.ts";
import { residentBytes } from "./support/process-memory.ts";
import { ServiceProcess } from "./support/service-process.ts";
import { directoryFor } from "./support/temporary-directory.ts";
import { until } from "./support/until.ts";

const mib = 1024 * 1024;

test("a post in chunks of one byte, which nobody has vouched for, costs no more memory than its bytes", async (t) => {
  const env = { CATMAILS_MAILGUN_SIGNING_KEY: "a-signing-key-of-a-test-0123456789" };
  await using service = await ServiceProcess.start({ dataDir: directoryFor(t), env });
  const { port } = new URL(service.report.http);
  const beforeBytes = residentBytes(service.pid).now;
  const socket = connect(Number(port), "127.0.0.1").on("error", () => undefined);
  const head = ["POST /v1/ingest/mailgun/mime HTTP/1.1", "Host: x", "Content-Type: multipart/form-data; boundary=b"];
  socket.write([...head, "Transfer-Encoding: chunked", "", ""].join("\r\n"));
  const chunks = Buffer.from("1\r\nx\r\n".repeat(20_000));
  for (let sent = 0; sent < 800_000; sent += 20_000) if (!socket.write(chunks)) await once(socket, "drain");
  socket.end("0\r\n\r\n");
  let answer = "";
  socket.on("data", (bytes: Buffer) => (answer += bytes.toString("latin1")));
  await until("all of it was read", () => answer.includes("invalid_body"));
  const costBytes = residentBytes(service.pid).peak - beforeBytes;
  // 400 MiB where each chunk was kept by itself.
  assert.ok(costBytes < 150 * mib, `${Math.round(costBytes / mib)} MiB`);
});

test("a post is the same however its bytes are cut", async () => {
  await using house = await House.open();
  const ann = await house.addPerson("ann");
  const { key } = await house.addKey(ann, { ingest: "own" });
  const mail = `Subject: x\r\n\r\n${Array.from({ length: 9000 }, (_, line) => `${line}\r\n`).join("")}`;
  async function* cut(sizes: readonly number[]): AsyncGenerator<Buffer> {
    for (let at = 0, turn = 0; at < mail.length; turn++) {
      const size = sizes[turn % sizes.length] ?? 1;
      yield Buffer.from(mail.slice(at, at + size));
      at += size;
    }
  }
  const cuts = [[mail.length], [1, 5000], [1], [511, 1, 4096], [4095], [60_000, 3]];
  for (const sizes of cuts) {
    const headers = { authorization: `Bearer ${key}`, "content-type": "message/rfc822" };
    const asking = request(`${house.origin}/v1/ingest?to=${ann.address}`, { method: "POST", headers });
    Readable.from(cut(sizes)).pipe(asking);
    const [answer] = (await once(asking, "response")) as [IncomingMessage];
    answer.resume();
    assert.equal(answer.statusCode, 200);
  }
  assert.deepEqual(await rawMails(house, ann.userId), Array(cuts.length).fill(mail));
});
