import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { sendLargeMails } from "./faults/large-mails.ts";
import { sendTogether, type OverloadReport } from "./faults/overload.ts";
import { listThroughApi } from "./faults/read-back.ts";
import { canTrace, readTrace, straceCommand, traceEnded } from "./faults/strace-file.ts";
import { forgetPeak, residentBytes } from "./support/process-memory.ts";
import { ReplyLinter } from "./support/reply-linter.ts";
import { ServiceProcess, type ServiceProcessOptions } from "./support/service-process.ts";
import { SmtpClient } from "./support/smtp-client.ts";
import { TemporaryDirectory } from "./support/temporary-directory.ts";
import { until } from "./support/until.ts";

/** `npm run overload` takes two minutes where `npm test` takes seconds. */
const isLong = process.env["OVERLOAD"] === "long";
const onlyLinux = process.platform === "linux" ? false : "reads /proc, which only Linux has";
const connections = 100;

/** A server with room for so many connections of one client; the rest as it is by default. */
async function start(dataDir: string, options: Partial<ServiceProcessOptions> = {}): Promise<ServiceProcess> {
  const { env, ...rest } = options;
  const limits = { CATMAILS_SMTP_MAX_CONNECTIONS_PER_IP: "10000", ...env };
  return await ServiceProcess.start({ dataDir, ...rest, env: limits });
}

/** A client that connects and says nothing. */
function visit(port: number): Socket {
  const linter = new ReplyLinter();
  const socket = connect(port, "127.0.0.1").setEncoding("latin1");
  return socket.on("data", (chunk: string) => linter.take(chunk));
}

function residentOf({ report: { mailbox, key = "" } }: ServiceProcess) {
  return { address: mailbox, addresses: [mailbox], key };
}

test("with three times as many senders as it can serve it takes mail as fast as before, and loses nothing", async (t) => {
  using directory = new TemporaryDirectory();
  const env = { CATMAILS_SMTP_MAX_CONNECTIONS: String(connections), CATMAILS_RETENTION_COUNT: "0" };
  await using service = await start(directory.path, { env });
  const load = (senders: number, forMs: number): Promise<OverloadReport> =>
    sendTogether({ port: service.report.smtp.port, to: service.report.mailbox, senders, forMs });
  const accepted: string[] = [];
  const putOff = new Map<string, number>();
  let best = 0;
  // Others use this machine too, so what is compared lies side by side, as often as it takes.
  for (let round = 0; round < (isLong ? 1 : 6) && best < 0.8; round++) {
    const peak = await load(connections, isLong ? 20_000 : 700);
    const over = await load(3 * connections, isLong ? 120_000 : 700);
    best = Math.max(best, over.acceptedPerSecond / peak.acceptedPerSecond);
    for (const { accepted: some } of [peak, over]) for (const subject of some) accepted.push(subject);
    for (const [code, count] of over.putOff) putOff.set(code, (putOff.get(code) ?? 0) + count);
    t.diagnostic(`${Math.round(peak.acceptedPerSecond)} mails/s, overloaded ${Math.round(over.acceptedPerSecond)}`);
  }
  t.diagnostic(`${accepted.length} accepted, put off: ${JSON.stringify([...putOff])}`);
  assert.ok(best >= 0.8, `${best} of what it takes otherwise`);
  const codes = [...putOff.keys()];
  assert.ok(codes.includes("421 "), "somebody was put off");
  assert.deepEqual(
    codes.filter((code) => !["421 ", "451 ", "452 "].includes(code)),
    [],
  );
  const subjects = (await listThroughApi(service.report.http, residentOf(service))).map(({ subject }) => subject);
  const stored = new Set(subjects);
  assert.deepEqual(
    accepted.filter((subject) => !stored.has(subject)),
    [],
    "acknowledged and lost",
  );
  assert.equal(stored.size, subjects.length, "no mail is there twice");
});

test("2,000 idle connections cost less than 64 KiB each", { skip: onlyLinux }, async (t) => {
  using directory = new TemporaryDirectory();
  await using service = await start(directory.path, { env: { CATMAILS_SMTP_MAX_CONNECTIONS: "3000" } });
  const { port } = service.report.smtp;
  const before = residentBytes(service.pid).now;
  const sockets: Socket[] = [];
  // Not more at once than the queue of new connections holds.
  while (sockets.length < 2000) {
    const some = Array.from({ length: 200 }, () => visit(port));
    await Promise.all(some.map((socket) => once(socket, "data")));
    sockets.push(...some);
  }
  const each = (residentBytes(service.pid).now - before) / sockets.length;
  for (const socket of sockets) socket.destroy();
  t.diagnostic(`${Math.round(each / 1024)} KiB each`);
  assert.ok(each < 65_536, `${each} bytes`);
});

test(
  "large mails at once are all stored, and cost little memory beside one of them",
  { skip: onlyLinux },
  async (t) => {
    using directory = new TemporaryDirectory();
    await using service = await start(directory.path);
    const mails = { port: service.report.smtp.port, to: service.report.mailbox };
    await sendLargeMails({ ...mails, count: 5, bytes: 50_000 });
    forgetPeak(service.pid);
    const before = residentBytes(service.pid).now;
    const count = isLong ? 100 : 30;
    const codes = await sendLargeMails({ ...mails, count, bytes: isLong ? 25_000_000 : 3_000_000 });
    const extra = residentBytes(service.pid).peak - before;
    t.diagnostic(`${count} mails cost ${Math.round(extra / 1e6)} MB at the peak`);
    assert.ok(codes.every((code) => code === 250));
    const listed = await listThroughApi(service.report.http, residentOf(service));
    assert.equal(listed.length, count + 5);
    assert.ok(extra < 250e6, `${extra} bytes`);
  },
);

test(
  "without file descriptors connections are dropped, and taken again as soon as there are some",
  { skip: onlyLinux },
  async () => {
    using directory = new TemporaryDirectory();
    const under = ["sh", "-c", 'ulimit -n 100 && exec "$0" "$@"'];
    await using service = await start(directory.path, { under });
    const { port } = service.report.smtp;
    const sockets = Array.from({ length: 300 }, () => visit(port));
    const settled = await Promise.all(
      sockets.map(async (socket) => {
        socket.on("error", () => undefined);
        return await Promise.race([
          once(socket, "data").then(() => "greeted"),
          once(socket, "close").then(() => "dropped"),
        ]);
      }),
    );
    assert.ok(settled.includes("greeted"));
    assert.ok(settled.includes("dropped"), "there were descriptors enough, so nothing was shown");
    await Promise.all(
      sockets.map(async (socket) => void (socket.destroy(), socket.closed || (await once(socket, "close")))),
    );
    await using client = await firstTaken(port);
    await client.startMail("s@there.example", service.report.mailbox);
    assert.equal((await client.command("Subject: after all\r\n\r\n.")).code, 250);
    assert.equal(service.hasExited, false);
  },
);

/** The server learns that the others have gone a moment after them; until then it drops whoever comes. */
async function firstTaken(port: number): Promise<SmtpClient> {
  let client: SmtpClient | null = null;
  await until("a connection is taken", async () => {
    client = await SmtpClient.ready(port).catch(() => null);
    return client !== null;
  });
  assert.ok(client !== null);
  return client;
}

const noTracing = canTrace() ? false : "strace is not installed, or may not trace here";

test("no mail, good or bad, makes the server open a connection to anybody", { skip: noTracing }, async (t) => {
  using directory = new TemporaryDirectory();
  const trace = join(directory.path, "trace");
  const dataDir = join(directory.path, "data");
  const service = await start(dataDir, { under: straceCommand("connect,sendto,sendmsg,sendmmsg", trace) });
  await using client = await SmtpClient.ready(service.report.smtp.port);
  const mail = async (from: string, content: string): Promise<void> => {
    await client.startMail(from, service.report.mailbox);
    assert.equal((await client.command(`${content}\r\n.`)).code, 250);
  };
  await mail("sender@there.example", "From: a@there.example\r\nReturn-Receipt-To: a@there.example\r\n\r\nx");
  await mail("", "From: MAILER-DAEMON@there.example\r\nAuto-Submitted: auto-replied\r\n\r\nbounce");
  await mail("sender@there.example", 'Content-Type: text/html\r\n\r\n<img src="http://192.0.2.1/pixel.png">');
  await client.command("MAIL FROM:<victim@there.example>");
  for (const to of ["nobody@mails.localhost", "x@elsewhere.example"]) {
    assert.equal((await client.command(`RCPT TO:<${to}>`)).code, 550);
  }
  assert.equal((await client.command(`RCPT TO:<${service.report.mailbox}>`)).code, 250);
  assert.equal((await client.command("DATA")).code, 354);
  await client.send("bare\n\r\n.\r\n");
  assert.equal((await client.reply()).code, 554);
  await service.stop();
  await traceEnded(trace, service.pid);
  assert.deepEqual(await outward(trace), []);
  await t.test("and one that did would be noticed", async () => {
    const listener = createServer().listen(0, "127.0.0.1");
    await once(listener, "listening");
    const address = listener.address();
    const port = typeof address === "object" ? address?.port : 0;
    const file = join(directory.path, "control");
    const call = `require("node:net").connect(${port}, "127.0.0.1", () => process.exit())`;
    spawnSync("strace", ["-f", "-y", "-e", "trace=connect", "-o", file, process.execPath, "-e", call]);
    listener.close();
    assert.equal((await outward(file)).length, 1);
  });
});

/** Calls that reach out over the network; answers on connections that others opened are none. */
async function outward(trace: string): Promise<string[]> {
  const calls = await readTrace(trace, (name, args) => {
    const reachesOut =
      name === "connect" ? /sa_family=AF_INET/.test(args) : /sa_family=AF_INET|\b(?:UDP|UDPv6):/.test(args);
    return reachesOut ? { call: `${name}(${args})` } : null;
  });
  return calls.map(({ call }) => call);
}
