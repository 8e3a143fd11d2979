import assert from "node:assert/strict";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { SeedTempMailbox } from "@catmails/client";
import { Service } from "../src/cli/service.ts";
import { loadConfig } from "../src/config.ts";
import { openSqliteStore } from "../src/store/sqlite/sqlite-store.ts";
import { callApi, listMails } from "./support/api-client.ts";
import { silentLog } from "./support/silent-log.ts";
import { serverName, SmtpClient } from "./support/smtp-client.ts";
import { TemporaryDirectory } from "./support/temporary-directory.ts";

const key = "mk_the-intake-tests-key";
const demo = "demo@mails.localhost";

interface Scene {
  origin: string;
  client: SmtpClient;
  dataDir: string;
}

/** The whole server in this process, and a client that has said EHLO. */
async function serve(t: TestContext, flags: Record<string, string> = {}): Promise<Scene> {
  const directory = new TemporaryDirectory();
  const dataDir = directory.path;
  const { config } = loadConfig({
    cwd: dataDir,
    flags: {
      data_dir: dataDir,
      smtp_port: "0",
      http_port: "0",
      smtp_hostname: serverName,
      bootstrap_key: key,
      ...flags,
    },
  });
  const service = await Service.start(config, silentLog());
  const client = await SmtpClient.ready(service.smtp.port);
  t.after(async () => {
    await client[Symbol.asyncDispose]();
    await service.stop();
    directory[Symbol.dispose]();
  });
  return { origin: `http://127.0.0.1:${service.http.port}`, client, dataDir };
}

async function send(client: SmtpClient, to: string, text = "Subject: hello\r\n\r\nhello"): Promise<string> {
  await client.startMail("sender@example.com", to);
  await client.send(`${text}\r\n.\r\n`);
  return (await client.reply()).lines.join("\n");
}

test("a plus-address reaches its mailbox and keeps its tag", async (t) => {
  const { origin, client } = await serve(t);
  await send(client, "Demo+CI@mails.localhost");
  await send(client, "demo+other@mails.localhost");
  await send(client, demo);
  const tagsOf = async (mail: string) => (await listMails(origin, { mail }, { key })).data.map((one) => one.mail_to);
  assert.deepEqual(await tagsOf(demo), [demo, "demo+other@mails.localhost", "demo+ci@mails.localhost"]);
  assert.deepEqual(await tagsOf("demo+ci@mails.localhost"), ["demo+ci@mails.localhost"]);
  assert.deepEqual(await tagsOf("demo+none@mails.localhost"), []);
});

test("one mail to two addresses of one mailbox is two mails, to one address twice is one", async (t) => {
  const { origin, client } = await serve(t);
  await client.startMail("sender@example.com", demo, "demo+ci@mails.localhost", "DEMO@mails.localhost");
  await client.send("Subject: both\r\n\r\n.\r\n");
  assert.equal((await client.reply()).code, 250);
  const { data } = await listMails(origin, { mail: demo }, { key });
  assert.deepEqual(data.map((one) => one.mail_to).toSorted(), ["demo+ci@mails.localhost", demo]);
});

test("a catch-all takes every address of its domain, each readable by itself", async (t) => {
  const { origin, client, dataDir } = await serve(t);
  await using store = await openSqliteStore({ dataDir });
  await store.createDomain({ name: "ci.localhost", allowsTemp: false, nowMs: Date.now() });
  const mailbox = await store.findMailbox(demo, Date.now());
  await store.updateDomain({ name: "ci.localhost", catchAllMailboxId: mailbox?.id ?? null });
  await send(client, "signup-1@ci.localhost");
  await send(client, "signup-2@ci.localhost");
  const one = await listMails(origin, { mail: "signup-1@ci.localhost" }, { key });
  assert.deepEqual(
    one.data.map((mail) => mail.mail_to),
    ["signup-1@ci.localhost"],
  );
  assert.equal((await listMails(origin, { mail: demo }, { key })).count, 2);
});

test("postmaster finds somebody, with a domain and without", async (t) => {
  const { origin, client } = await serve(t);
  assert.match(await send(client, "Postmaster"), /^250 /);
  assert.match(await send(client, "postmaster@temp.mails.localhost"), /^250 /);
  const { data } = await listMails(origin, { mail: demo }, { key });
  assert.deepEqual(
    data.map((mail) => mail.mail_to),
    ["postmaster@temp.mails.localhost", "postmaster@mails.localhost"],
  );
});

test("over the quota new mail is refused at RCPT, for now or for good, and old mail stays", async (t) => {
  const { origin, client } = await serve(t, { quota_bytes: "2000" });
  assert.match(await send(client, demo, `Subject: big\r\n\r\n${"x".repeat(70)}`.padEnd(1500, "\r\nmore")), /^250 /);
  await client.command("MAIL FROM:<a@example.com> SIZE=1000");
  assert.match((await client.command(`RCPT TO:<${demo}>`)).lines.join(), /^452 4\.2\.2 /);
  await client.command("RSET");
  await client.command("MAIL FROM:<a@example.com> SIZE=3000");
  assert.match((await client.command(`RCPT TO:<${demo}>`)).lines.join(), /^552 5\.2\.2 /);
  await client.command("RSET");
  assert.match(await send(client, demo), /^250 /);
  assert.equal((await listMails(origin, { mail: demo }, { key })).count, 2);
});

test("a mail that has gone round too often is refused as a loop", async (t) => {
  const { client } = await serve(t, { smtp_max_received: "3" });
  const hop = "Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\r\n";
  assert.match(await send(client, demo, `${hop.repeat(3)}Subject: ok\r\n\r\nok`), /^250 /);
  assert.match(await send(client, demo, `${hop.repeat(4)}Subject: loop\r\n\r\nloop`), /^554 5\.4\.6 /);
});

test("a mail whose mailbox is deleted while it comes in is refused, not stored for the next owner", async (t) => {
  const { origin, client } = await serve(t);
  const made = await callApi(origin, { action: "create_temp_mailbox", name: "brief" }, { key, method: "POST" });
  const { mail } = made.body as SeedTempMailbox;
  await client.startMail("sender@example.com", mail);
  await callApi(origin, { action: "delete_temp_mailbox", mail }, { key, method: "POST" });
  await callApi(origin, { action: "create_temp_mailbox", name: "brief" }, { key, method: "POST" });
  await client.send("Subject: late\r\n\r\nlate\r\n.\r\n");
  assert.match((await client.reply()).lines.join(), /^550 5\.1\.1 /);
  assert.equal((await listMails(origin, { mail }, { key })).count, 0);
});

test("over LMTP a mailbox that is deleted while the mail comes in gets its 550, and the others get the mail", async (t) => {
  const directory = new TemporaryDirectory();
  t.after(() => directory[Symbol.dispose]());
  const path = join(directory.path, "lmtp");
  const { origin } = await serve(t, { lmtp_port: "0", lmtp_socket: path });
  const made = await callApi(origin, { action: "create_temp_mailbox" }, { key, method: "POST" });
  const { mail } = made.body as SeedTempMailbox;
  await using client = await SmtpClient.connect(path);
  await client.send(`LHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<${mail}>\r\nRCPT TO:<${demo}>\r\n`);
  assert.deepEqual(await client.codes(5), [220, 250, 250, 250, 250]);
  await callApi(origin, { action: "delete_temp_mailbox", mail }, { key, method: "POST" });
  await client.send("BDAT 23 LAST\r\nSubject: late\r\n\r\nlate\r\n");
  assert.deepEqual(await client.codes(2), [550, 250]);
  const { data } = await listMails(origin, { mail: demo }, { key });
  assert.deepEqual(
    data.map((one) => one.mail_to),
    [demo],
  );
});

test("a socket of LMTP that is taken, or cannot be made, is told in one line", async (t) => {
  const directory = new TemporaryDirectory();
  t.after(() => directory[Symbol.dispose]());
  const path = join(directory.path, "lmtp");
  await serve(t, { lmtp_socket: path });
  await assert.rejects(serve(t, { lmtp_socket: path }), {
    message: `LMTP cannot listen on ${path}: the socket is already in use.`,
  });
  await assert.rejects(
    serve(t, { lmtp_socket: join(directory.path, "none", "lmtp") }),
    /^StartError: LMTP cannot listen on /,
  );
});

test("a temp mailbox takes no mail from the moment it expires", async (t) => {
  const { origin, client } = await serve(t);
  const made = await callApi(origin, { action: "create_temp_mailbox", ttl: "1" }, { key, method: "POST" });
  const { mail } = made.body as SeedTempMailbox;
  assert.match(await send(client, mail), /^250 /);
  // The wait ends when the mailbox does: nothing else can end it before its 60 s.
  const since = (await listMails(origin, { mail }, { key })).data[0]?.id ?? 0;
  const ended = await callApi(origin, { mail, since: String(since), wait: "60" }, { key });
  assert.deepEqual([ended.status, ended.body], [403, scopeInvalid]);
  await client.command("MAIL FROM:<a@example.com>");
  assert.match((await client.command(`RCPT TO:<${mail}>`)).lines.join(), /^550 5\.1\.1 /);
});

const scopeInvalid = { success: false, error: "Mailbox scope is invalid", code: "mailbox_scope_invalid" };
