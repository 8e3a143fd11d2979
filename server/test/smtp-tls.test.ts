import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { after, describe, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import type { HandshakeOutcome } from "../src/encryption.ts";
import type { Envelope } from "../src/origin.ts";
import type { ReceiveResult } from "../src/smtp/intake.ts";
import type { SmtpMetrics } from "../src/smtp/metrics.ts";
import type { SmtpServer } from "../src/smtp/server.ts";
import { skipWithoutOpenssl } from "./support/certificate-maker.ts";
import { openNaiveServer } from "./support/naive-starttls.ts";
import { ReplyLinter } from "./support/reply-linter.ts";
import { SmtpClient } from "./support/smtp-client.ts";
import {
  freePort,
  MemoryIntake,
  noMetrics,
  openDoor,
  portOf,
  secureFreePort,
  type DoorOptions,
} from "./support/smtp-door.ts";
import { TlsPlace } from "./support/tls-place.ts";
import { until } from "./support/until.ts";

const to = "demo@ours.example";
const from = "s@there.example";
const skip = skipWithoutOpenssl();

describe("SMTP under TLS", { skip }, async () => {
  if (skip !== false) return;
  const place = new TlsPlace();
  place.add(["mx.test"]);
  const encryption = await place.open();
  after(async () => {
    await encryption[Symbol.asyncDispose]();
    place[Symbol.dispose]();
  });
  const open = (intake = new MemoryIntake(to), options: DoorOptions = {}): Promise<SmtpServer> =>
    openDoor(intake, { encryption, listeners: [freePort, secureFreePort], ...options });
  const implicitPort = (door: SmtpServer): number => portOf(door, 1);

  const extensionsOf = async (client: SmtpClient): Promise<string> =>
    (await client.command("EHLO client.example")).lines.join();

  test("STARTTLS is announced where there is a certificate, and not under TLS", async () => {
    await using door = await open();
    await using plain = await SmtpClient.ready(door.address.port);
    assert.match(await extensionsOf(plain), /STARTTLS/);
    await using secure = await plain.startTls();
    assert.doesNotMatch(await extensionsOf(secure), /STARTTLS/);
    await using implicit = await SmtpClient.connectTls(implicitPort(door));
    assert.equal((await implicit.reply()).code, 220);
    assert.doesNotMatch(await extensionsOf(implicit), /STARTTLS/);
    assert.match((await secure.command("STARTTLS")).lines.join(), /^503 5\.5\.1 /);
    assert.match((await implicit.command("STARTTLS")).lines.join(), /^503 5\.5\.1 /);
    assert.equal((await secure.command("NOOP")).code, 250);
  });

  test("STARTTLS is neither announced nor taken without a certificate", async () => {
    using empty = new TlsPlace();
    await using none = await empty.open({ directory: null });
    for (const options of [{}, { encryption: none }]) {
      await using door = await openDoor(new MemoryIntake(to), options);
      await using client = await SmtpClient.ready(door.address.port);
      assert.doesNotMatch(await extensionsOf(client), /STARTTLS/);
      assert.equal((await client.command("STARTTLS")).code, 502);
      assert.equal((await client.command("NOOP")).code, 250);
    }
  });

  test("a parameter of STARTTLS is refused, and the session goes on", async () => {
    await using door = await open();
    await using client = await SmtpClient.ready(door.address.port);
    assert.match((await client.command("STARTTLS now")).lines.join(), /^501 5\.5\.4 /);
    assert.match((await client.command("starttls \t")).lines.join(), /^500 5\.5\.2 /);
    await using secure = await client.startTls();
    assert.equal((await secure.command("NOOP")).code, 250);
  });

  test("the session begins anew under TLS: no EHLO was said, no envelope is open", async () => {
    const intake = new MemoryIntake(to);
    await using door = await open(intake);
    await using client = await SmtpClient.ready(door.address.port);
    assert.equal((await client.command(`MAIL FROM:<${from}>`)).code, 250);
    assert.equal((await client.command(`RCPT TO:<${to}>`)).code, 250);
    await using secure = await client.startTls();
    assert.equal((await secure.command("DATA")).code, 503);
    assert.match((await secure.command(`MAIL FROM:<${from}>`)).lines.join(), /EHLO/);
    assert.equal((await secure.command("EHLO client.example")).code, 250);
    assert.equal((await secure.command("DATA")).code, 503);
    await secure.startMail(from, to);
    assert.equal((await secure.command("Subject: x\r\n\r\nunder TLS\r\n.")).code, 250);
    assert.equal(intake.mails.length, 1);
  });

  test("limits count on over STARTTLS", async () => {
    await using door = await open(new MemoryIntake(to), { limits: { maxErrors: 3 } });
    await using client = await SmtpClient.ready(door.address.port);
    for (const code of [500, 500]) assert.equal((await client.command("NONSENSE")).code, code);
    await using secure = await client.startTls();
    await secure.send("NONSENSE\r\n");
    assert.deepEqual(await secure.codes(2), [500, 421]);
    await secure.closed();
  });

  test("a mail says how it came in, to the house and in the log", async () => {
    const intake = new MemoryIntake(to);
    const envelopes: Envelope[] = [];
    intake.onReceive = ({ envelope }) => {
      envelopes.push(envelope);
      return { kind: "stored", receipt: "r" };
    };
    const log: string[] = [];
    await using door = await open(intake, { log });
    await using plain = await SmtpClient.ready(door.address.port);
    await using upgraded = await (await SmtpClient.connect(door.address.port).then(greeted)).startTls();
    await using implicit = await SmtpClient.connectTls(implicitPort(door)).then(greeted);
    for (const client of [plain, upgraded, implicit]) {
      assert.equal((await client.command("EHLO client.example")).code, 250);
      await client.startMail(from, to);
      assert.equal((await client.command("x\r\n.")).code, 250);
    }
    assert.deepEqual(
      envelopes.map(({ origin }) => origin?.transmission),
      ["ESMTP", "ESMTPS", "ESMTPS"],
    );
    const stored = log.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ receipt }) => receipt);
    assert.deepEqual(
      stored.map(({ tls }) => tls),
      [undefined, "TLSv1.3", "TLSv1.3"],
    );
  });

  test("TLS 1.2 is spoken, TLS 1.1 is not", async () => {
    await using door = await open();
    await using old = await SmtpClient.connectTls(implicitPort(door), { maxVersion: "TLSv1.2" });
    assert.equal((await old.reply()).code, 220);
    const tooOld = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
    await assert.rejects(SmtpClient.connectTls(implicitPort(door), tooOld), /protocol version/);
    await using client = await SmtpClient.ready(door.address.port);
    await assert.rejects(client.startTls(tooOld), /protocol version/);
  });

  describe("bytes put in front of the handshake", () => {
    const payloads = ["", "RSET\r\n", "EHLO evil.example\r\nMAIL FROM:<evil@x.example>\r\n", "NO", "R", "\r\n", "\n"];

    test("are never read, wherever they are cut", async () => {
      const intake = new MemoryIntake(to);
      await using door = await open(intake);
      for (const payload of payloads) {
        const bytes = `STARTTLS\r\n${payload}`;
        for (let cut = 0; cut < bytes.length; cut++) {
          const verdict = await inject(door.address.port, [bytes.slice(0, cut), bytes.slice(cut)]);
          const allowed = payload === "" ? ["clean"] : ["refused", "broken"];
          assert.ok(allowed.includes(verdict), `${JSON.stringify(bytes)} cut at ${cut}: ${verdict}`);
        }
      }
      assert.equal(await inject(door.address.port, ["STARTTLS\r\nRSET\r\n"]), "refused");
      await until("all are closed", () => door.connectionCount === 0);
    });

    test("are never read where STARTTLS is the last of so many commands that others get their turn", async () => {
      await using door = await open();
      // What a socket reads at once: what comes behind it is read in the same turn, before anything else is done.
      const readBytes = 65_536;
      for (const commands of [199, 200, 201, 400]) {
        const padding = readBytes - "STARTTLS\r\n".length;
        const each = Math.floor(padding / (commands - 1));
        const noop = (bytes: number): string => `NOOP ${"x".repeat(bytes - 7)}\r\n`;
        const noops = noop(each).repeat(commands - 2) + noop(padding - each * (commands - 2));
        const verdict = await inject(door.address.port, [`${noops}STARTTLS\r\nEHLO evil.example\r\n`], commands - 1);
        assert.ok(["refused", "broken"].includes(verdict), `behind ${commands} commands: ${verdict}`);
      }
    });

    test("would be noticed, were they read", async () => {
      await using naive = await openNaiveServer(encryption.handshakeOptions(Buffer.alloc(0)));
      assert.equal(await inject(naive.port, ["STARTTLS\r\n"]), "clean");
      assert.equal(await inject(naive.port, ["STARTTLS\r\nRSET\r\n"]), "leaked");
      assert.equal(await inject(naive.port, ["STARTTLS\r\nNO"]), "leaked");
    });
  });

  test("a handshake that never comes, or drips, is cut, and counted", async () => {
    const outcomes: HandshakeOutcome[] = [];
    const metrics = metricsOf(outcomes);
    await using door = await open(new MemoryIntake(to), { metrics, limits: { idleTimeoutMs: 1000 } });
    await using silent = await SmtpClient.ready(door.address.port);
    assert.equal((await silent.command("STARTTLS")).code, 220);
    const dripping = connect(implicitPort(door), "127.0.0.1");
    dripping.on("error", () => undefined);
    // The start of a ClientHello that says it is 512 bytes long.
    const hello = Buffer.concat([Buffer.of(22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3), Buffer.alloc(512)]);
    let sent = 0;
    const drip = setInterval(() => dripping.write(hello.subarray(sent, ++sent)), 10);
    // A byte that meets the cut is an error, which `once` would take for ours.
    await new Promise<void>((resolve) => dripping.resume().on("close", () => resolve()));
    clearInterval(drip);
    assert.equal(await silent.drained(), "");
    await until("both are gone", () => door.connectionCount === 0);
    assert.deepEqual(outcomes, ["timeout", "timeout"]);
  });

  test("a client that speaks no TLS, or leaves, ends its connection and no other", async () => {
    const outcomes: HandshakeOutcome[] = [];
    await using door = await open(new MemoryIntake(to), { metrics: metricsOf(outcomes) });
    await using honest = await SmtpClient.connectTls(implicitPort(door)).then(greeted);
    const plain = connect(implicitPort(door), "127.0.0.1").on("error", () => undefined);
    plain.end("EHLO x\r\nMAIL FROM:<>\r\n");
    await once(plain.resume(), "close");
    const leaving = connect(implicitPort(door), "127.0.0.1");
    leaving.end();
    await once(leaving.resume(), "close");
    await using client = await SmtpClient.ready(door.address.port);
    assert.equal((await client.command("STARTTLS")).code, 220);
    client.endInput();
    assert.equal(await client.drained(), "");
    await until("they are gone", () => door.connectionCount === 1);
    assert.deepEqual(outcomes, ["done", "failed", "failed", "failed"]);
    assert.equal((await honest.command("NOOP")).code, 250);
  });

  test("a client that ends its side right after its last byte still gets every reply", async () => {
    const intake = new MemoryIntake(to);
    await using door = await open(intake);
    const session = `EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<${to}>\r\nDATA\r\n\r\nx\r\n.\r\nQUIT\r\n`;
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      await using client = await SmtpClient.connectTls(implicitPort(door), { maxVersion });
      await client.send(session);
      client.endInput();
      assert.deepEqual(await client.codes(7), [220, 250, 250, 250, 354, 250, 221]);
      await client.closed();
    }
    assert.equal(intake.mails.length, 2);
  });

  test("a large mail comes in whole under TLS", async () => {
    const intake = new MemoryIntake(to);
    await using door = await open(intake);
    await using client = await SmtpClient.connectTls(implicitPort(door)).then(greeted);
    assert.equal((await client.command("EHLO x")).code, 250);
    await client.startMail(from, to);
    const body = `${"0123456789abcdef".repeat(60)}\r\n`.repeat(5_000);
    await client.send(body);
    assert.equal((await client.command(".")).code, 250);
    assert.equal(intake.mails[0]?.raw.toString("latin1"), body);
  });

  test("a client that never reads its replies is closed, and holds no more than a bounded backlog meanwhile", async () => {
    await using door = await open(new MemoryIntake(), { limits: { idleTimeoutMs: 300 } });
    await using client = await SmtpClient.connectTls(implicitPort(door)).then(greeted);
    client.socket.pause();
    const flood = Buffer.from("HELP\r\n".repeat(10_000));
    while (client.socket.writable && client.socket.writableLength < 20_000_000) {
      if (!client.socket.write(flood)) await nextTurn();
    }
    await until("it is closed", () => door.connectionCount === 0);
  });

  test("stopping ends idle sessions with 421, cuts handshakes, and lets a mail in flight come in", async () => {
    const intake = new MemoryIntake(to);
    const gate = Promise.withResolvers<ReceiveResult>();
    const handed = Promise.withResolvers<void>();
    intake.onReceive = () => {
      handed.resolve();
      return gate.promise;
    };
    await using door = await open(intake);
    await using idle = await SmtpClient.connectTls(implicitPort(door)).then(greeted);
    await using busy = await (await SmtpClient.ready(door.address.port)).startTls();
    assert.equal((await busy.command("EHLO x")).code, 250);
    await busy.startMail(from, to);
    await using half = await SmtpClient.ready(door.address.port);
    assert.equal((await half.command("STARTTLS")).code, 220);
    const drained = door.drain(60_000);
    assert.match((await idle.reply()).lines.join(), /^421 4\.3\.2 /);
    await idle.closed();
    idle.endInput();
    assert.equal(await half.drained(), "");
    await busy.send("x\r\n.\r\n");
    await handed.promise;
    gate.resolve({ kind: "stored", receipt: "kept" });
    assert.deepEqual((await busy.reply()).lines, ["250 2.0.0 kept"]);
    assert.equal((await busy.reply()).code, 421);
    await busy.closed();
    busy.endInput();
    await drained;
  });

  test("handshakes count as connections, and one too many is turned away without a word", async () => {
    await using door = await open(new MemoryIntake(to), { limits: { maxConnections: 3 } });
    const pending = Array.from({ length: 3 }, () => connect(implicitPort(door), "127.0.0.1"));
    await until("they are in", () => door.connectionCount === 3);
    await using late = await SmtpClient.connect(implicitPort(door));
    assert.equal(await late.drained(), "");
    await using plain = await SmtpClient.connect(door.address.port);
    assert.equal((await plain.reply()).code, 421);
    for (const socket of pending) socket.destroy();
    await until("they are gone", () => door.connectionCount === 0);
  });

  test("a client of TLS 1.2 cannot have the handshake done again", async () => {
    const outcomes: HandshakeOutcome[] = [];
    await using door = await open(new MemoryIntake(to), { metrics: metricsOf(outcomes) });
    const client = spawn("openssl", ["s_client", "-tls1_2", "-connect", `127.0.0.1:${implicitPort(door)}`]);
    let said = "";
    for (const stream of [client.stdout, client.stderr]) stream.on("data", (chunk: Buffer) => (said += String(chunk)));
    await until("it is through", () => said.includes("220 mx.test"));
    // Its way to ask for another handshake.
    client.stdin.write("R\n");
    await once(client, "close");
    assert.match(said, /RENEGOTIATING[^]*no renegotiation/);
    assert.deepEqual(outcomes, ["done"]);
  });
});

async function greeted(client: SmtpClient): Promise<SmtpClient> {
  assert.equal((await client.reply()).code, 220);
  return client;
}

function metricsOf(outcomes: HandshakeOutcome[]): SmtpMetrics {
  return { ...noMetrics, handshakeEnded: (outcome) => void outcomes.push(outcome) };
}

/**
 * Plays somebody on the way who sends these pieces in plain before the client's handshake; so many other replies come before
 * that to STARTTLS. `refused`: the server said so;
 * `broken`: no TLS came about; `clean`: it did, and nothing was left of what came before; `leaked`: something was.
 */
async function inject(
  port: number,
  pieces: readonly string[],
  repliesBefore = 0,
): Promise<"refused" | "broken" | "clean" | "leaked"> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  const linter = new ReplyLinter();
  const read = reader(socket, linter);
  try {
    await read(/^220 .*\r\n/);
    socket.write("EHLO client.example\r\n");
    await read(/^250 .*\r\n/m);
    for (const piece of pieces) {
      socket.write(piece);
      await nextTurn();
    }
    const replies = (await read(new RegExp(`^(?:\\d{3} .*\\r\\n){${repliesBefore + 1}}`))).split("\r\n");
    if (replies[repliesBefore]?.startsWith("220") !== true) return "refused";
    const secure = connectTls({ socket, rejectUnauthorized: false });
    const [outcome] = (await Promise.race([
      once(secure, "secureConnect").then(() => ["secure"]),
      once(secure, "close").then(() => ["closed"]),
    ]).catch(() => ["closed"])) as [string];
    if (outcome !== "secure") return "broken";
    const readSecure = reader(secure, linter);
    secure.write("MAIL FROM:<client@there.example>\r\nQUIT\r\n");
    const said = await readSecure(/^221 .*\r\n/m);
    return /^503 5\.5\.1 Say EHLO first\r\n221 [^\r\n]*\r\n$/.test(said) ? "clean" : "leaked";
  } finally {
    socket.destroy();
  }
}

/** Reads until a pattern has come; what the connection said last when it ends first. */
function reader(socket: Socket, linter: ReplyLinter): (pattern: RegExp) => Promise<string> {
  let received = "";
  const state = { hasEnded: false };
  let wake = (): void => undefined;
  socket.on("data", (chunk: Buffer) => {
    received += chunk.toString("latin1");
    wake();
    linter.take(chunk);
  });
  for (const event of ["end", "error", "close"]) {
    socket.on(event, () => {
      state.hasEnded = true;
      wake();
    });
  }
  return async (pattern) => {
    while (!pattern.test(received) && !state.hasEnded) await new Promise<void>((resolve) => (wake = resolve));
    const said = received;
    received = "";
    return said;
  };
}
