import assert from "node:assert/strict";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { SeedMail, SeedMailList } from "@catmails/client";
import { openStore, settleResidents, type Resident } from "./faults/household.ts";
import { Exim } from "./support/exim.ts";
import { Postfix } from "./support/postfix.ts";
import { readProjectFile } from "./support/project-files.ts";
import { ReplyTap } from "./support/reply-tap.ts";
import { ServiceProcess } from "./support/service-process.ts";
import { skipWithoutRootProgram } from "./support/system-program.ts";
import { realDiskDirectory } from "./support/temporary-directory.ts";
import { TlsPlace } from "./support/tls-place.ts";
import { until } from "./support/until.ts";

/** For each way of handing over; HANDOVER_MAILS=10000 is the long form. */
const count = Number(process.env["HANDOVER_MAILS"] ?? "200");
/** Exim makes processes for each mail. */
const eximCount = Math.min(count, Number(process.env["HANDOVER_EXIM_MAILS"] ?? "20"));
const domains = ["lmtp.test", "socket.test", "smtp.test", "tls.test", "strict.test"] as const;
/** In the server's certificate. */
const serverName = "mx.test";
const numbers = Array.from({ length: count }, (_, i) => i + 1);

/** A real Cat Mails with all its ways in, and domains whose mail for any address is one resident's. */
class Receiving implements AsyncDisposable {
  readonly service: ServiceProcess;
  /** Of taps before the server's own: whatever it says to a mail server is judged. */
  readonly ports: { smtp: number; lmtp: number };
  readonly socket: string;
  /** What a client has to trust. */
  readonly rootFile: string;
  readonly #ann: Resident;
  readonly #mails: SeedMail[] = [];
  readonly #parts: AsyncDisposableStack;

  private constructor(
    made: Pick<Receiving, "service" | "ports" | "socket" | "rootFile"> & { ann: Resident; parts: AsyncDisposableStack },
  ) {
    this.service = made.service;
    this.ports = made.ports;
    this.socket = made.socket;
    this.rootFile = made.rootFile;
    this.#ann = made.ann;
    this.#parts = made.parts;
  }

  /** With a certificate STARTTLS is announced, which whoever comes through a tap must not take. */
  static async open({ hasCertificate = false } = {}): Promise<Receiving> {
    await using parts = new AsyncDisposableStack();
    const directory = parts.use(realDiskDirectory()).path;
    // A mail server's own user has to come to the socket.
    chmodSync(directory, 0o755);
    const dataDir = join(directory, "data");
    const socket = join(directory, "lmtp");
    const [ann] = await settleResidents(dataDir, ["ann"]);
    assert.ok(ann);
    await serveDomains(dataDir, ann.address);
    const tls = parts.use(new TlsPlace());
    tls.add([serverName]);
    const env = {
      CATMAILS_LMTP_PORT: "0",
      CATMAILS_LMTP_SOCKET: socket,
      CATMAILS_LOG_LEVEL: "info",
      CATMAILS_SMTP_HOSTNAME: serverName,
      ...(hasCertificate ? { CATMAILS_TLS_DIR: tls.path("live") } : {}),
    };
    const service = parts.use(await ServiceProcess.start({ dataDir, env }));
    const lmtp = service.report.lmtp?.find((place) => "port" in place);
    const taps = { smtp: await ReplyTap.open(service.report.smtp.port), lmtp: await ReplyTap.open(lmtp?.port ?? 0) };
    for (const tap of Object.values(taps)) parts.use(tap);
    const ports = { smtp: taps.smtp.port, lmtp: taps.lmtp.port };
    return new Receiving({ service, ports, socket, rootFile: tls.maker.rootFile, ann, parts: parts.move() });
  }

  /** Every mail that is here by now, the oldest first. */
  async mails(): Promise<readonly SeedMail[]> {
    for (;;) {
      const since = String(this.#mails.at(-1)?.id ?? 0);
      const query = new URLSearchParams({ mail: this.#ann.address, limit: "200", since });
      const response = await fetch(`${this.service.report.http}?${query.toString()}`, {
        headers: { authorization: `Bearer ${this.#ann.key}` },
      });
      const { data } = (await response.json()) as SeedMailList;
      if (data.length === 0) return this.#mails;
      this.#mails.push(...data.toReversed());
    }
  }

  /** Waits until so many mails to these addresses are here, and checks that it is one each. */
  async tookOneEach(expected: readonly string[]): Promise<void> {
    const wanted = new Set(expected);
    let found: string[] = [];
    await until(`${expected.length} mails are here`, async () => {
      found = (await this.mails()).map((mail) => mail.mail_to).filter((address) => wanted.has(address));
      return found.length >= expected.length;
    });
    assert.deepEqual(found.toSorted(), expected.toSorted());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.disposeAsync();
  }
}

async function serveDomains(dataDir: string, address: string): Promise<void> {
  await using store = await openStore(dataDir);
  const mailbox = await store.findMailbox(address, Date.now());
  for (const name of domains) {
    await store.createDomain({ name, allowsTemp: false, nowMs: Date.now() });
    if (name !== "strict.test") await store.updateDomain({ name, catchAllMailboxId: mailbox?.id ?? null });
  }
}

/** One of the samples in `deploy/`, with this test's names and ports in place of those to be replaced. */
function sample(path: string, names: Readonly<Record<string, string>>): string {
  let text = readProjectFile(path);
  for (const [from, to] of Object.entries(names)) {
    assert.ok(text.includes(from), `${path} says ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}

describe("Postfix hands over", { skip: skipWithoutRootProgram("postfix") }, () => {
  let receiving: Receiving;
  let postfix: Postfix;
  before(async () => {
    receiving = await Receiving.open({ hasCertificate: true });
    const { ports, socket, rootFile, service } = receiving;
    const main = sample("deploy/postfix/main.cf", {
      "mails.example": domains.join(", "),
      "127.0.0.1:2424": `127.0.0.1:${ports.lmtp}`,
    });
    // No tap can stand between the two ends of TLS.
    const underTls = `[127.0.0.1]:${service.report.smtp.port}`;
    const ways = [
      `socket.test=lmtp:unix:${socket}`,
      `smtp.test=smtp:[127.0.0.1]:${ports.smtp}`,
      `tls.test=smtp:${underTls}`,
    ];
    const settings = [
      `transport_maps = inline:{${ways.join(", ")}}`,
      `smtp_tls_policy_maps = inline:{{${underTls} = secure match=${serverName}}}`,
      `smtp_tls_CAfile = ${rootFile}`,
      "smtp_tls_loglevel = 1",
    ];
    postfix = await Postfix.start(`${main}${settings.join("\n")}\n`);
  });
  after(async () => {
    await postfix[Symbol.asyncDispose]();
    await receiving[Symbol.asyncDispose]();
  });

  for (const [way, domain] of [
    ["LMTP on a port", "lmtp.test"],
    ["LMTP on a Unix socket", "socket.test"],
    ["SMTP", "smtp.test"],
    ["SMTP with STARTTLS", "tls.test"],
  ] as const) {
    test(`${count} mails over ${way}, each once`, async () => {
      await postfix.send(count, `m@${domain}`);
      await receiving.tookOneEach(numbers.map((number) => `${number}m@${domain}`));
      const sent = (): number => postfix.log.split("\n").filter((line) => line.includes(`m@${domain}>, relay=`)).length;
      await until("Postfix has said what became of each", () => sent() >= count);
      assert.doesNotMatch(postfix.log, /status=(?!sent)/);
    });
  }

  test("under TLS it has verified the certificate each time, and no mail came in without", () => {
    assert.match(postfix.log, /Verified TLS connection established to 127\.0\.0\.1/);
    assert.doesNotMatch(postfix.log, /(?:Untrusted|Anonymous) TLS connection/);
    const stored = receiving.service.log.filter((line) => line.includes("Mail stored"));
    assert.equal(stored.filter((line) => /"tls":"TLSv1\.[23]"/.test(line)).length, count);
  });

  test("and refuses recipients that Cat Mails does not know while the sender waits, without a bounce", async () => {
    const main = sample("deploy/postfix/main.cf", {
      "mails.example": domains.join(", "),
      "127.0.0.1:2424": `127.0.0.1:${receiving.ports.lmtp}`,
    });
    await using strict = await Postfix.start(`${main}mynetworks = 192.0.2.0/24\n`);
    // 450 while the answer is on its way.
    await until("it is refused for good", () => strict.send(1, "m@strict.test").then(neverTaken, isFinalRefusal));
    await strict.send(1, "known@lmtp.test");
    await receiving.tookOneEach(["1known@lmtp.test"]);
    assert.doesNotMatch(strict.log, /non-delivery notification/);
  });
});

describe("Exim hands over", { skip: skipWithoutRootProgram("exim4") }, () => {
  let receiving: Receiving;
  before(async () => {
    receiving = await Receiving.open();
  });
  after(() => receiving[Symbol.asyncDispose]());

  const configure = (transport: "catmails_smtp" | "catmails_lmtp"): string =>
    sample("deploy/exim/exim.conf", {
      "mails.example": domains.join(" : "),
      "transport = catmails_smtp": `transport = ${transport}`,
      "port = 2525": `port = ${receiving.ports.smtp}`,
      "port = 2424": `port = ${receiving.ports.lmtp}`,
    });

  for (const [way, transport, domain] of [
    ["SMTP", "catmails_smtp", "smtp.test"],
    ["LMTP", "catmails_lmtp", "lmtp.test"],
  ] as const) {
    test(`${eximCount} mails by BDAT over ${way}, each once and as it was`, async () => {
      using exim = await Exim.open(configure(transport));
      const commands = numbers.slice(0, eximCount).map((number) => mailCommands(number, `${number}x@${domain}`));
      await exim.deliver(`HELO client.test\n${commands.join("")}`);
      await receiving.tookOneEach(numbers.slice(0, eximCount).map((number) => `${number}x@${domain}`));
      const delivered = exim.log.split("\n").filter((line) => line.includes(" => "));
      assert.equal(delivered.length, eximCount);
      // It notes so where it has used CHUNKING.
      for (const line of delivered) assert.match(line, / K C="250 2\.0\.0 /);
      for (const mail of await receiving.mails()) {
        const number = new RegExp(`^(\\d+)x@${domain}$`).exec(mail.mail_to)?.[1];
        if (number !== undefined) assert.equal(mail.content.trim(), contentOf(Number(number)).trim());
      }
    });
  }

  test("and refuses recipients that Cat Mails does not know while the sender waits", async () => {
    using exim = await Exim.open(configure("catmails_lmtp"));
    const recipients = ["m@lmtp.test", "m@strict.test", "m@elsewhere.test"];
    const commands = recipients.map((address) => `RCPT TO:<${address}>\r\n`).join("");
    const said = await exim.answers(`EHLO x\r\nMAIL FROM:<s@there.test>\r\n${commands}QUIT\r\n`);
    assert.deepEqual(
      said.match(/^(?:250 Accepted|550 .*)/gm)?.map((line) => line.slice(0, 3)),
      ["250", "550", "550"],
    );
  });
});

function neverTaken(): never {
  assert.fail("a recipient was taken that nobody knows");
}

function isFinalRefusal(error: unknown): boolean {
  return /rejected: 550 /.test(String(error));
}

/** A dot of its own, a long line and two bytes of one letter, which a chunk may be cut at. */
function contentOf(number: number): string {
  return `mail ${number}\n.\n..\n${"ü".repeat(number % 400)}\nend`;
}

function mailCommands(number: number, to: string): string {
  const stuffed = contentOf(number).replaceAll(/^\./gm, "..");
  const header = `Subject: ${number}\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n`;
  return `MAIL FROM:<s@there.test>\nRCPT TO:<${to}>\nDATA\n${header}\n${stuffed}\n.\n`;
}
