import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { createTransport } from "nodemailer";
import type { SeedMailList } from "@catmails/client";
import { skipWithoutOpenssl, writePair } from "./support/certificate-maker.ts";
import { ServiceProcess } from "./support/service-process.ts";
import { SmtpClient } from "./support/smtp-client.ts";
import { directoryFor } from "./support/temporary-directory.ts";
import { TlsPlace } from "./support/tls-place.ts";
import { until } from "./support/until.ts";

const run = promisify(execFile);
const skip = skipWithoutOpenssl();

interface Shipment {
  ports: { starttls: number; implicit: number };
  to: string;
  subject: string;
  /** What the server's certificate is checked against; the server is called mx.test. */
  rootFile: string;
  /** A file that holds the mail. */
  file: string;
}

const python = `
import smtplib, ssl, sys
kind, port, file, to, root = sys.argv[1:]
context = ssl.create_default_context(cafile=root)
context.check_hostname = False
if kind == "implicit":
    smtp = smtplib.SMTP_SSL("127.0.0.1", int(port), context=context)
else:
    smtp = smtplib.SMTP("127.0.0.1", int(port))
    smtp.starttls(context=context)
with smtp, open(file, "rb") as f:
    assert smtp.sendmail("s@there.example", [to], f.read()) == {}
`;

type Send = (shipment: Shipment) => Promise<unknown>;

const nodemailer =
  (kind: "starttls" | "implicit"): Send =>
  async ({ ports, to, rootFile, file }) => {
    const ca = readFileSync(rootFile);
    const transport = createTransport({
      host: "127.0.0.1",
      port: ports[kind],
      secure: kind === "implicit",
      requireTLS: true,
      tls: { ca, servername: "mx.test" },
    });
    await transport.sendMail({ envelope: { from: "s@there.example", to }, raw: readFileSync(file) });
    transport.close();
  };

const curl =
  (kind: "starttls" | "implicit"): Send =>
  ({ ports, to, rootFile, file }) => {
    const scheme = kind === "implicit" ? "smtps" : "smtp";
    const at = ["--resolve", `mx.test:${ports[kind]}:127.0.0.1`, `${scheme}://mx.test:${ports[kind]}/sender.example`];
    const envelope = ["--mail-from", "s@there.example", "--mail-rcpt", to, "--upload-file", file];
    return run("curl", ["-sS", "--ssl-reqd", "--cacert", rootFile, ...at, ...envelope]);
  };

const smtplib =
  (kind: "starttls" | "implicit"): Send =>
  ({ ports, to, rootFile, file }) =>
    run("python3", ["-c", python, kind, String(ports[kind]), file, to, rootFile]);

const swaks =
  (...how: string[]): Send =>
  ({ ports, to, rootFile, file }) => {
    const port = how.includes("--tls") ? ports.starttls : ports.implicit;
    const envelope = ["--from", "s@there.example", "--to", to, "--data", `@${file}`, "--silent", "3"];
    return run("swaks", ["--server", `127.0.0.1:${port}`, ...how, "--tls-ca-path", rootFile, ...envelope]);
  };

const senders: readonly { name: string; program: string; send: Send }[] = [
  { name: "curl with --ssl-reqd", program: "curl", send: curl("starttls") },
  { name: "curl to smtps://", program: "curl", send: curl("implicit") },
  { name: "Python's smtplib with starttls()", program: "python3", send: smtplib("starttls") },
  { name: "Python's SMTP_SSL", program: "python3", send: smtplib("implicit") },
  { name: "swaks --tls", program: "swaks", send: swaks("--tls") },
  { name: "swaks --tls-on-connect", program: "swaks", send: swaks("--tls-on-connect") },
  { name: "nodemailer with requireTLS", program: process.execPath, send: nodemailer("starttls") },
  { name: "nodemailer with secure", program: process.execPath, send: nodemailer("implicit") },
];

describe("the server with certificates", { skip }, () => {
  let place: TlsPlace;
  let service: ServiceProcess;
  const env = (): Record<string, string> => ({
    CATMAILS_TLS_DIR: place.path("live"),
    CATMAILS_SMTP_HOSTNAME: "mx.test",
    CATMAILS_SMTPS_PORT: "0",
    CATMAILS_HTTPS_PORT: "0",
    CATMAILS_LOG_LEVEL: "info",
  });
  before(async () => {
    place = new TlsPlace();
    place.add(["mx.test"]);
    service = await ServiceProcess.start({ dataDir: place.path("data"), env: env() });
  });
  after(async () => {
    await service[Symbol.asyncDispose]();
    place[Symbol.dispose]();
  });

  for (const { name, program, send } of senders) {
    test(`takes a mail from ${name}`, { skip: skipWithout(program) }, async () => {
      const { smtp, smtps, mailbox } = service.report;
      const file = place.path("mail.eml");
      const subject = `From ${name}`;
      writeFileSync(file, `From: a@b.example\r\nSubject: ${subject}\r\n\r\nYour code is 482913`);
      const ports = { starttls: smtp.port, implicit: smtps?.port ?? 0 };
      const stored = service.log.filter((line) => line.includes("Mail stored")).length;
      await send({ ports, to: mailbox, subject, rootFile: place.maker.rootFile, file });
      await until("it is logged", () => service.log.filter((line) => line.includes("Mail stored")).length > stored);
      assert.match(service.log.findLast((line) => line.includes("Mail stored")) ?? "", /"tls":"TLSv1\.[23]"/);
      const list = await mailsOf(service, place.maker.rootFile);
      assert.equal(list.data[0]?.subject, subject);
    });
  }

  test("stops in order while clients are connected under TLS", async () => {
    const dataDir = place.path("stopping");
    await using stopping = await ServiceProcess.start({ dataDir, env: env() });
    await using idle = await SmtpClient.connectTls(stopping.report.smtps?.port ?? 0);
    assert.equal((await idle.reply()).code, 220);
    await using busy = await (await SmtpClient.ready(stopping.report.smtp.port)).startTls();
    assert.equal((await busy.command("EHLO x")).code, 250);
    await busy.startMail("s@there.example", stopping.report.mailbox);
    const exited = stopping.stop();
    assert.equal((await idle.reply()).code, 421);
    await busy.send("Subject: late\r\n\r\nx\r\n.\r\n");
    assert.deepEqual(await busy.codes(2), [250, 421]);
    idle.endInput();
    busy.endInput();
    assert.equal(await exited, 0);
  });
});

describe("the server without a usable certificate", { skip }, () => {
  for (const [name, env, message] of [
    ["a file that is not there", { TLS_CERT: "nowhere.crt" }, /^TLS: nowhere\.crt cannot be read \(ENOENT\)\.$/m],
    ["a directory that is not there", { TLS_DIR: "nowhere" }, /^TLS: nowhere cannot be read \(ENOENT\)\.$/m],
    ["a key alone", { TLS_KEY: "nowhere.key" }, /tls_key is set, but tls_cert is not: a key/],
    ["a port alone", { HTTPS_PORT: "0" }, /^https_port is set, but there is no usable certificate/m],
    ["another port alone", { SMTPS_PORT: "0" }, /^smtps_port is set, but there is no usable certificate/m],
  ] as const) {
    test(`does not start with ${name}, and says so in one line`, async (t) => {
      const prefixed = Object.fromEntries(Object.entries(env).map(([key, value]) => [`CATMAILS_${key}`, value]));
      const start = ServiceProcess.start({ dataDir: join(directoryFor(t), "data"), env: prefixed });
      await assert.rejects(start, (error) => {
        const lines = String(error).split("\n").slice(1);
        return message.test(String(error)) && lines.length === 1;
      });
    });
  }

  test("does not start with a pair that does not fit, and leaves no data directory in use", async (t) => {
    using place = new TlsPlace();
    const directory = place.path("pair");
    writePair(directory, { ...place.maker.make(["a.test"]), key: place.maker.make(["b.test"]).key });
    const dataDir = join(directoryFor(t), "data");
    const env = {
      CATMAILS_TLS_CERT: join(directory, "fullchain.pem"),
      CATMAILS_TLS_KEY: join(directory, "privkey.pem"),
    };
    await assert.rejects(ServiceProcess.start({ dataDir, env }), /TLS: .*privkey\.pem is not the key of the first/);
    await using service = await ServiceProcess.start({ dataDir });
    assert.equal(service.hasExited, false);
  });
});

/** Asked over HTTPS, with the certificate checked. */
async function mailsOf(service: ServiceProcess, rootFile: string): Promise<SeedMailList> {
  const { https = "", mailbox, key = "" } = service.report;
  const { port } = new URL(https);
  const url = `https://mx.test:${port}/api?mail=${mailbox}&key=${key}`;
  const { stdout } = await run("curl", ["-sS", "--cacert", rootFile, "--resolve", `mx.test:${port}:127.0.0.1`, url]);
  return JSON.parse(stdout) as SeedMailList;
}

function skipWithout(program: string): string | false {
  if (spawnSync(program, ["--version"]).error !== undefined) return `${program} is not installed`;
  if (program !== "swaks") return false;
  const { stdout, stderr } = spawnSync(program, ["--support"], { encoding: "utf8" });
  const lacksTls = `${stdout}${stderr}`.includes("TLS not available");
  return lacksTls ? "swaks speaks no TLS without Net::SSLeay, which is not installed" : false;
}
