import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { test } from "node:test";
import { connect } from "node:tls";
import fc from "fast-check";
import { readClientHello } from "../src/tls/client-hello.ts";

/** The first record of a client of this machine. */
async function recordOf(options: { servername?: string; ALPNProtocols?: string[] }): Promise<Buffer> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", ...options });
  client.on("error", () => undefined);
  const [socket] = (await once(server, "connection")) as [Socket];
  const [record] = (await once(socket, "data")) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return record;
}

test("a ClientHello tells its name and protocols", async () => {
  const protocols = ["h2", "http/1.1", "acme-tls/1"];
  const named = await recordOf({ servername: "Mx.Example.ORG", ALPNProtocols: protocols });
  assert.deepEqual(readClientHello(named), { serverName: "mx.example.org", protocols });
  const bare = await recordOf({ servername: "" });
  assert.deepEqual(readClientHello(bare), { serverName: null, protocols: [] });
});

test("what is no whole ClientHello is none, wherever it ends and whatever is in it", async () => {
  const record = await recordOf({ servername: "mx.example.org", ALPNProtocols: ["acme-tls/1"] });
  for (let end = 0; end < record.length; end++) assert.equal(readClientHello(record.subarray(0, end)), null);
  for (const text of ["", "EHLO x\r\n", "GET / HTTP/1.1\r\n\r\n"])
    assert.equal(readClientHello(Buffer.from(text)), null);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(record.length - 1), fc.nat(255)), { maxLength: 8 }), (changes) => {
      const spoiled = Buffer.from(record);
      for (const [at, value] of changes) spoiled[at] = value;
      const said = readClientHello(spoiled);
      assert.ok(said === null || (said.serverName?.length ?? 0) < record.length);
    }),
    { numRuns: 20_000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      readClientHello(Buffer.from([22, 3, 1, 0, 0, 1, ...bytes]));
    }),
    { numRuns: 5_000 },
  );
});
