import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { MailDetails, SeedMailList } from "@catmails/client";
import { callApi } from "./support/api-client.ts";
import { CommandLine } from "./support/command-line.ts";
import { DnsServer } from "./support/dns-server.ts";
import { ServiceProcess } from "./support/service-process.ts";
import { plainMail } from "./support/signed-mail.ts";
import { serverName, SmtpClient, type SmtpReply } from "./support/smtp-client.ts";
import { until } from "./support/until.ts";

/** Long before any question to the DNS is given up, and longer than a busy machine takes for a mail. */
const promptMs = 3000;

describe("who sent it, by a server and a DNS of its own", () => {
  let dns: DnsServer;
  let shell: CommandLine;
  let service: ServiceProcess;
  let mailbox: string;
  let key: string;
  let count = 0;
  /** Mails that were sent before the tests. */
  let earlier = 0;

  before(async () => {
    dns = await DnsServer.start();
    shell = new CommandLine();
    const env = {
      CATMAILS_SENDER_CHECKS: "all",
      CATMAILS_DNS_SERVERS: dns.setting,
      CATMAILS_SMTP_HOSTNAME: serverName,
    };
    service = await ServiceProcess.start({ dataDir: shell.dataDir, env });
    mailbox = service.report.mailbox;
    key = service.report.key ?? "";
    dns.add("good.example", "TXT", "v=spf1 ip4:127.0.0.1 -all").add("_dmarc.good.example", "TXT", "v=DMARC1; p=reject");
    dns.add("bad.example", "TXT", "v=spf1 -all").add("_dmarc.bad.example", "TXT", "v=DMARC1; p=reject");
    dns.add("first.example", "TXT", "v=spf1 ip4:127.0.0.1 -all");
    await until(
      "there is somebody who checks, which a busy machine can need longer for than a check may take",
      async () => {
        await send("first.example");
        return (await checked()).authentication.spf.result === "pass";
      },
    );
    earlier = count;
  });
  after(async () => {
    await service[Symbol.asyncDispose]();
    await shell[Symbol.asyncDispose]();
    await dns[Symbol.asyncDispose]();
  });

  /** Sends a mail whose every address is in this domain, and answers the last reply. */
  const send = (domain: string): Promise<SmtpReply> => sendRaw(domain, plainMail(`a@${domain}`));

  async function sendRaw(domain: string, raw: string | Buffer): Promise<SmtpReply> {
    await using client = await SmtpClient.ready(service.report.smtp.port);
    await client.startMail(`a@${domain}`, mailbox);
    await client.send(raw);
    const reply = await client.command(".");
    if (reply.code === 250) count++;
    return reply;
  }

  const origin = (): string => new URL(service.report.http).origin;

  async function details(id = count): Promise<MailDetails> {
    const answer = await fetch(`${origin()}/v1/mails/${id}`, { headers: { authorization: `Bearer ${key}` } });
    assert.equal(answer.status, 200);
    return (await answer.json()) as MailDetails;
  }

  async function checked(id = count): Promise<MailDetails> {
    await until("the sender is checked", async () => (await details(id)).authentication.state === "checked");
    return details(id);
  }

  async function ids(query: Record<string, string>): Promise<number[]> {
    const { status, body } = await callApi(origin(), { mail: mailbox, ...query }, { key });
    assert.equal(status, 200, JSON.stringify(body));
    return (body as SeedMailList).data.map(({ id }) => id);
  }

  const catmails = (...args: string[]): Promise<object> => shell.json([...args, "--data-dir", shell.dataDir]);

  test("a mail says where it came from and what was found out, by HTTP and on the command line", async () => {
    assert.equal((await send("good.example")).code, 250);
    const { received_at, ...mail } = await checked();
    assert.match(received_at, /^\d{4}-/);
    assert.deepEqual(mail, {
      success: true,
      id: earlier + 1,
      mail_from: "a@good.example",
      mail_to: mailbox,
      subject: "Hello",
      content: "Your code is 482913",
      envelope_from: "a@good.example",
      client: { ip: "127.0.0.1", helo: "client.example", transmission: "ESMTP" },
      authentication: {
        state: "checked",
        marked: false,
        spf: { result: "pass", domain: "good.example" },
        dkim: [],
        dmarc: { result: "pass", domain: "good.example", policy: "reject", aligned: ["spf"] },
        arc: { result: "none", sealer: null },
      },
      size: plainMail("a@good.example").length,
      defects: [],
    });
    const { success: _, ...shown } = await details();
    assert.deepEqual(await catmails("mail", "show", String(count), "--user", mailbox), shown);
    const text = await shell.run(["mail", "show", String(count), "--user", mailbox, "--data-dir", shell.dataDir]);
    assert.match(text.stdout, /^Checks +DMARC pass, SPF pass, DKIM none, ARC none$/m);
  });

  test("a list can be limited to a result, and a wait ends once the result is there", async () => {
    assert.deepEqual([await ids({ dmarc: "pass" }), await ids({ dmarc: "fail" })], [[earlier + 1], []]);
    const { status, body } = await callApi(origin(), { mail: mailbox, dmarc: "maybe" }, { key });
    assert.deepEqual([status, (body as { code: string }).code], [400, "invalid_parameter"]);
    const waiting = ids({ dmarc: "fail", wait: "30" });
    await send("good.example");
    await send("bad.example");
    assert.deepEqual(await waiting, [earlier + 3]);
    await checked(earlier + 2);
    assert.deepEqual(await ids({ dmarc: "pass", since: String(earlier + 1) }), [earlier + 2]);
    assert.deepEqual((await ids({})).slice(0, 3), [earlier + 3, earlier + 2, earlier + 1]);
  });

  test("a good result is never shown with another author than the one that it is about", async () => {
    for (const from of [
      "ceo@bad.example\r\n<a@good.example>",
      "ceo@bad.example\r\n\x0b<a@good.example>",
      "ceo@bad.example\r\n\x00\r\n <a@good.example>",
    ]) {
      assert.equal((await sendRaw("good.example", `From: ${from}\r\nSubject: x\r\n\r\nx\r\n`)).code, 250);
      const { mail_from, authentication } = await checked();
      assert.deepEqual(
        [mail_from, authentication.dmarc.result],
        ["ceo@bad.example", "permerror"],
        JSON.stringify(from),
      );
    }
  });

  test("a mail of this machine is not checked, and says so", async () => {
    const args = ["deliver", "--from", "a@bad.example", mailbox, "--data-dir", shell.dataDir];
    assert.equal((await shell.run(args, { stdin: plainMail("a@bad.example") })).code, 0);
    count++;
    const { client, authentication } = await details();
    assert.deepEqual([client, authentication.state, authentication.dmarc.result], [null, "unchecked", "none"]);
  });

  test("a domain marks or refuses forged mail when it is told to, and takes the rest", async () => {
    const domain = mailbox.slice(mailbox.indexOf("@") + 1);
    await catmails("domain", "set", domain, "--dmarc", "mark");
    await until("it is marked", async () => {
      await send("bad.example");
      return (await checked()).authentication.marked;
    });
    await catmails("domain", "set", domain, "--dmarc", "refuse");
    await until("it is refused", async () => (await send("bad.example")).code === 550);
    assert.deepEqual((await send("bad.example")).lines, [
      "550 5.7.26 Mail fails DMARC and its domain asks to reject it, or From does not name one domain",
    ]);
    assert.equal((await send("good.example")).code, 250);
    for (const from of [
      "",
      "From: ceo@bad.example\r\n<a@good.example>\r\n",
      "From: ceo@bad.example\r\nFrom: a@good.example\r\n",
      "From: ceo@bad.example, a@good.example\r\n",
    ]) {
      assert.equal((await sendRaw("good.example", `${from}Subject: x\r\n\r\nx\r\n`)).code, 550, from);
    }
    dns.misconduct.set("_dmarc.unsure.example", "servfail");
    assert.equal((await send("unsure.example")).code, 250);
    assert.equal((await checked()).authentication.dmarc.result, "temperror");
    await catmails("domain", "set", domain, "--dmarc", "accept");
    await until("it is taken", async () => (await send("bad.example")).code === 250);
    assert.equal((await checked()).authentication.marked, false);
  });

  test("a blocked network is refused at RCPT within a second, and heard again when it is taken off", async () => {
    await catmails("block", "add", "127.0.0.0/8");
    const answer = async (domain = "good.example"): Promise<string> => {
      await using client = await SmtpClient.ready(service.report.smtp.port);
      await client.command(`MAIL FROM:<a@${domain}>`);
      return (await client.command(`RCPT TO:<${mailbox}>`)).lines.join();
    };
    await until("it is blocked", async () => (await answer()) === "550 5.7.1 Sender is blocked here");
    await catmails("allow", "add", "good.example");
    await until("it is allowed", async () => (await answer()).startsWith("250 "));
    await catmails("block", "remove", "127.0.0.0/8");
    await until("it is free", async () => (await answer("other.example")).startsWith("250 "));
    await catmails("allow", "remove", "good.example");
  });

  test("a DNS that hangs delays no 250, and the result is temperror within 5 s", async () => {
    dns.isSilent = true;
    const startedMs = performance.now();
    for (let i = 0; i < 3; i++) {
      const sentMs = performance.now();
      assert.equal((await send(`d${i}.example`)).code, 250);
      const tookMs = performance.now() - sentMs;
      assert.ok(tookMs < promptMs, `250 took ${tookMs} ms`);
    }
    const lastMs = performance.now();
    for (const id of [count - 2, count - 1, count]) {
      const { authentication } = await checked(id);
      assert.deepEqual([authentication.dmarc.result, authentication.spf.result], ["temperror", "temperror"]);
    }
    const knownMs = performance.now() - lastMs;
    assert.ok(knownMs < 5000, `the results took ${knownMs} ms, ${performance.now() - startedMs} ms in all`);
  });
});
