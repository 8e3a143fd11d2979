import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { statSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { projectRoot } from "./support/project-files.ts";
import { serviceEnvironment, ServiceProcess, type ServiceReport } from "./support/service-process.ts";
import { serverName, SmtpClient } from "./support/smtp-client.ts";
import { directoryFor } from "./support/temporary-directory.ts";
import { until } from "./support/until.ts";

test("the first start prints a key once, to standard output only, and the key works", async (t) => {
  const dataDir = directoryFor(t);
  await using first = await ServiceProcess.start({ dataDir, env: { CATMAILS_LOG_LEVEL: "trace" } });
  const key = first.report.key;
  assert.ok(key !== undefined && /^mk_[0-9A-Za-z]{57}$/.test(key));
  const answer = await fetch(`${first.report.http}?action=mailboxes&key=${key}`);
  assert.deepEqual(await answer.json(), { success: true, address: first.report.mailbox });
  assert.equal(await first.stop(), 0);
  assert.ok(!first.log.join("\n").includes(key));
  await using second = await ServiceProcess.start({ dataDir });
  assert.equal(second.report.key, undefined);
});

test("a later start names the mailbox that is there, whatever the domain is now, and how to make a key", async (t) => {
  const dataDir = directoryFor(t);
  {
    await using first = await ServiceProcess.start({ dataDir });
    assert.equal(first.report.mailbox, "demo@mails.localhost");
    assert.equal(await first.stop(), 0);
  }
  const later = spawn(process.execPath, ["server/bin/catmails.mjs", "serve", "--domain", "mails.test"], {
    cwd: projectRoot,
    env: serviceEnvironment(dataDir),
    stdio: ["ignore", "pipe", "ignore"],
  });
  t.after(() => later.kill("SIGKILL"));
  let lines = "";
  for await (const line of createInterface({ input: later.stdout })) {
    lines += `${line}\n`;
    if (line.startsWith("A key is shown only")) break;
  }
  assert.match(lines, /^ {2}Mailbox {4}demo@mails\.localhost$/m);
  assert.match(lines, /To make another: npx catmails key add --user demo@mails\.localhost$/m);
  assert.doesNotMatch(lines, /\$\{|mails\.test/);
});

test("the data directory is for its owner only", async (t) => {
  const dataDir = join(directoryFor(t), "deep", "data");
  await using service = await ServiceProcess.start({ dataDir });
  assert.equal(statSync(dataDir).mode & 0o777, 0o700);
  assert.equal(await service.stop(), 0);
});

test("a configured key is the first user's key, and a warning says when it no longer works", async (t) => {
  const dataDir = directoryFor(t);
  const key = "mk_chosen-by-the-operator_1";
  await using first = await ServiceProcess.start({ dataDir, env: { CATMAILS_BOOTSTRAP_KEY: key } });
  assert.equal(first.report.key, undefined);
  const answer = await fetch(first.report.http, {
    method: "POST",
    headers: { authorization: `Bearer ${key}` },
    body: new URLSearchParams({ mail: first.report.mailbox }),
  });
  assert.deepEqual(await answer.json(), { success: true, count: 0, data: [] });
  await first.stop();
  await using second = await ServiceProcess.start({ dataDir, env: { CATMAILS_BOOTSTRAP_KEY: `${key}x` } });
  // The log comes through another pipe than the report, so it may be read later.
  await until("the warning is there", () =>
    second.log.some((line) => line.includes("bootstrap_key is not an active key")),
  );
});

test("SIGTERM answers 421 to idle sessions, finishes the mail in flight, closes sockets with 1001 and exits 0", async (t) => {
  const dataDir = directoryFor(t);
  await using service = await ServiceProcess.start({ dataDir, env: { CATMAILS_SMTP_HOSTNAME: serverName } });
  const { smtp, websocket, mailbox, key } = service.report;
  await using idle = await SmtpClient.ready(smtp.port);
  await using busy = await SmtpClient.ready(smtp.port);
  await busy.startMail("a@example.com", mailbox);
  await busy.send("Subject: in flight\r\n\r\nhalf ");
  const socket = new WebSocket(`${websocket}?key=${key}`);
  await once(socket, "open");
  const frame = once(socket, "message") as Promise<[MessageEvent]>;
  const close = once(socket, "close") as Promise<[CloseEvent]>;

  const exited = service.stop();
  assert.match((await idle.reply()).lines.join(), /421 4\.3\.2/);
  await busy.send("of it\r\n.\r\n");
  assert.match((await busy.reply()).lines.join(), /^250 2\.0\.0 /);
  assert.equal((JSON.parse(String((await frame)[0].data)) as { content: string }).content, "half of it");
  const [{ code, reason }] = await close;
  assert.deepEqual([code, reason], [1001, "since=1"]);
  assert.match((await busy.reply()).lines.join(), /421 4\.3\.2/);
  await Promise.all([idle.closed(), busy.closed()]);
  assert.equal(await exited, 0);
});

test("a second signal ends the process at once", async (t) => {
  const dataDir = directoryFor(t);
  await using service = await ServiceProcess.start({ dataDir });
  const client = await SmtpClient.ready(service.report.smtp.port);
  await client.startMail("a@example.com", service.report.mailbox);
  const exited = service.stop();
  // A mail in flight holds the stop back; only another signal can end it before the timeout of 20 s.
  const started = performance.now();
  const again = setInterval(() => service.hasExited || process.kill(service.pid, "SIGTERM"), 100);
  t.after(() => clearInterval(again));
  assert.equal(await exited, 1);
  assert.ok(performance.now() - started < 5_000);
  client.socket.destroy();
});

test("a stop that a client holds up ends by its timeout", async (t) => {
  const dataDir = directoryFor(t);
  await using service = await ServiceProcess.start({ dataDir, env: { CATMAILS_SHUTDOWN_TIMEOUT: "300ms" } });
  const client = await SmtpClient.ready(service.report.smtp.port);
  await client.startMail("a@example.com", service.report.mailbox);
  assert.equal(await service.stop(), 0);
  client.socket.destroy();
});

test("SIGTERM sent to the npm start process reaches the server, which leaves no orphan", async (t) => {
  const dataDir = directoryFor(t);
  const npm = spawn("npm", ["start", "--", "--json"], {
    cwd: projectRoot,
    env: { ...serviceEnvironment(dataDir), CATMAILS_LOG_LEVEL: "info" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.after(() => npm.kill("SIGKILL"));
  const report = await firstReport(npm.stdout);
  const gone = once(npm, "exit");
  npm.kill("SIGTERM");
  await gone;
  await assert.rejects(fetch(report.http), "the port is closed once npm has ended");
});

test("a second server on the same data directory is refused with one line", async (t) => {
  const dataDir = directoryFor(t);
  await using first = await ServiceProcess.start({ dataDir });
  await assert.rejects(ServiceProcess.start({ dataDir }), /Another catmails already serves the data directory/);
  assert.equal((await fetch(new URL("/readyz", first.report.http))).status, 200);
});

test("a port that is taken is refused with one line, and the key still comes with the first start that succeeds", async (t) => {
  await using first = await ServiceProcess.start({ dataDir: directoryFor(t) });
  const dataDir = directoryFor(t);
  const env = { CATMAILS_SMTP_PORT: String(first.report.smtp.port) };
  await assert.rejects(
    ServiceProcess.start({ dataDir, env }),
    /SMTP cannot listen on 127\.0\.0\.1 port \d+: the port is already in use\. Choose another with --smtp-port\./,
  );
  const both = { CATMAILS_HTTP_PORT: env.CATMAILS_SMTP_PORT, CATMAILS_SMTP_PORT: env.CATMAILS_SMTP_PORT };
  await assert.rejects(
    ServiceProcess.start({ dataDir, env: both }),
    /HTTP cannot listen .* Choose another with --http-port\./,
  );
  await using second = await ServiceProcess.start({ dataDir });
  assert.match(second.report.key ?? "", /^mk_/);
});

async function firstReport(output: NodeJS.ReadableStream): Promise<ServiceReport> {
  for await (const line of createInterface({ input: output })) {
    if (line.startsWith("{")) return JSON.parse(line) as ServiceReport;
  }
  throw new Error("npm start ended without a report");
}
