import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { FeedSocket } from "./faults/feed-socket.ts";
import { filesIn, findNeedles, needlesOf } from "./faults/needles.ts";
import { LinkLost, SmtpLink } from "./faults/smtp-link.ts";
import { exchange } from "./support/api-client.ts";
import { CommandLine } from "./support/command-line.ts";
import { ServiceProcess } from "./support/service-process.ts";

const mailbox = "demo@mails.localhost";
const bodyText = "the-body-of-the-mail-is-nobodys-business";
const makeSecret = (): string => `mk_${randomBytes(36).toString("base64url")}`;

/** Ways to hand a key over, right and wrong, each with the answer it got. */
type Answers = Map<string, string>;

describe("no key and no mail body is left anywhere", () => {
  // One key that works and one that does not, given by the operator and by a client.
  const given = makeSecret();
  const wrong = makeSecret();
  const answers: Answers = new Map();
  const logs: Answers = new Map();
  let shell: CommandLine;
  let made = "";

  before(async () => {
    shell = new CommandLine();
    const env = {
      CATMAILS_LOG_LEVEL: "trace",
      CATMAILS_BOOTSTRAP_KEY: given,
      CATMAILS_HTTP_MAX_BODY_BYTES: "16KiB",
      CATMAILS_SMTP_MAX_MESSAGE_BYTES: "64KiB",
    };
    for (const format of ["json", "pretty"]) {
      await using service = await ServiceProcess.start({
        dataDir: shell.dataDir,
        env: { ...env, CATMAILS_LOG_FORMAT: format },
      });
      const flags = ["--data-dir", shell.dataDir];
      if (made === "") {
        ({ key: made } = await shell.json<{ key: string }>(["key", "add", "--user", mailbox, ...flags]));
      }
      answers.set(`report of the start, ${format}`, JSON.stringify(service.report));
      await sendMails(service, answers);
      for (const key of [given, wrong, made]) await presentEverywhere(service, key, answers);
      await listen(service, [given, wrong, made], answers);
      const environment = { env: { CATMAILS_BOOTSTRAP_KEY: given } };
      const json = format === "json" ? ["--json"] : [];
      for (const command of [["config"], ["doctor"], ["key", "list"], ["user", "list"], ["key", "revoke", wrong]]) {
        const { stdout, stderr } = await shell.run([...command, ...flags, ...json], environment);
        answers.set(`catmails ${command.slice(0, 2).join(" ")} ${format}`, stdout + stderr);
      }
      answers.set("metrics", await (await fetch(new URL("/metrics", service.report.http))).text());
      // Once in order, once without, so that the write-ahead log is left as it was.
      await (format === "json" ? service.stop() : service.kill());
      logs.set(`log, ${format}`, service.log.join("\n"));
    }
  });
  after(() => shell[Symbol.asyncDispose]());

  const needles = (): string[] => [
    ...needlesOf(given, { publicCharacters: 3 }),
    ...needlesOf(wrong, { publicCharacters: 3 }),
    // `mk_` and the public id, which lists and logs may show.
    ...needlesOf(made, { publicCharacters: 11 }),
  ];

  test("no key in any log line at level trace", (t) => {
    const lines = [...logs.values()].join("\n").split("\n").length;
    t.diagnostic(`${lines} lines`);
    assert.ok(lines > 50, "hardly anything was logged");
    assert.deepEqual(findNeedles(logs, needles()), []);
  });

  test("no key in any answer, error, metric or command's output", (t) => {
    t.diagnostic(`${answers.size} answers`);
    assert.ok(answers.size > 100);
    assert.deepEqual(findNeedles(answers, needles()), []);
  });

  test("no key in any file of the data directory", () => {
    const files = filesIn(shell.dataDir);
    assert.ok(files.size > 0);
    assert.deepEqual(findNeedles(files, needles()), []);
  });

  test("no mail body in any log line, metric or error", () => {
    assert.deepEqual(findNeedles(logs, [bodyText]), []);
    const withoutLists = new Map([...answers].filter(([, answer]) => !answer.includes('{"success":true,"count":')));
    assert.ok(withoutLists.size > 100 && withoutLists.size < answers.size);
    assert.deepEqual(findNeedles(withoutLists, [bodyText]), []);
    assert.equal(findNeedles(filesIn(shell.dataDir), [bodyText]).length > 0, true, "no mail was ever stored");
  });

  test("and a key that is left somewhere would be found, also a part of it", () => {
    writeFileSync(join(shell.directory, "left"), `x${made.slice(20, 40)}x`);
    assert.deepEqual(findNeedles(filesIn(shell.directory), needles()), [join(shell.directory, "left")]);
  });
});

async function sendMails(service: ServiceProcess, answers: Answers): Promise<void> {
  const bodies: [string, string][] = [
    ["a mail", `${bodyText}\r\n`],
    ["a bare LF", `${bodyText}\nx\r\n`],
    ["a mail that is too large", `${bodyText}\r\n`.repeat(3000)],
    ["broken MIME", `--\r\n${bodyText}\r\n`],
  ];
  for (const [name, body] of bodies) {
    using link = await SmtpLink.open(service.report.smtp.port);
    const wire = Buffer.from(`Subject: =?bad?x?\r\nContent-Type: multipart/mixed; boundary\r\n\r\n${body}`);
    const mail = { envelopeFrom: "sender@example.org", recipients: [mailbox], wire };
    answers.set(`SMTP, ${name}`, await link.deliver(mail));
  }
}

/** Hands a key to SMTP and to every place of HTTP where somebody might put one. */
async function presentEverywhere(service: ServiceProcess, key: string, answers: Answers): Promise<void> {
  const { http } = service.report;
  const origin = new URL(http).origin;
  const note = async (name: string, call: Promise<Response>): Promise<void> => {
    const response = await call;
    answers.set(`${answers.size} ${name}`, `${[...response.headers].join("\n")}\n${await response.text()}`);
  };
  const encoded = `mk%5F${key.slice(3)}`;
  const bearer = { authorization: `Bearer ${key}` };
  const post = (body: string | FormData, type?: string, search = ""): Promise<Response> =>
    fetch(`${http}${search}`, {
      method: "POST",
      body,
      ...(type === undefined ? {} : { headers: { "content-type": type } }),
    });
  for (const text of [key, encoded]) {
    for (const path of [
      `?mail=${mailbox}&key=${text}`,
      `?mail=${text}&key=${text}`,
      `?mail=nobody@example.org&key=${text}`,
      `?key=${text}&action=${text}&type=${text}`,
      `?key=${text}&mail=${mailbox}&since=${text}`,
      `?mail=${mailbox}&key=${text}&mail=%`,
      `/${text}?key=${text}`,
      `?${text}`,
      `?key=${text}&x=${"y".repeat(20_000)}`,
    ]) {
      await note(`GET ${path.slice(0, 12)}`, fetch(`${http}${path}`));
      await note(`DELETE ${path.slice(0, 12)}`, fetch(`${http}${path}`, { method: "DELETE" }));
    }
    await note("another path", fetch(`${origin}/${text}?key=${text}`));
    await note("form", post(`mail=${mailbox}&key=${text}`, "application/x-www-form-urlencoded"));
    await note("broken form", post(`mail=%zz&key=${text}&%`, "application/x-www-form-urlencoded"));
  }
  await note("Bearer", fetch(`${http}?mail=${mailbox}`, { headers: bearer }));
  await note("Bearer, foreign mail", fetch(`${http}?mail=x@example.org`, { headers: bearer }));
  await note("Bearer, no mail", fetch(http, { headers: bearer }));
  await note("Basic", fetch(http, { headers: { authorization: `Basic ${key}` } }));
  await note(
    "another header",
    fetch(http, { headers: { "x-api-key": key, cookie: `key=${key}`, referer: `${http}?key=${key}` } }),
  );
  await note("JSON", post(JSON.stringify({ mail: mailbox, key }), "application/json"));
  await note("JSON list", post(JSON.stringify({ mail: mailbox, key: [key, { key }] }), "application/json"));
  await note("broken JSON", post(`{"key":"${key}",`, "application/json"));
  await note("unknown type", post(key, `text/${key}`));
  await note("large body", post(`key=${key}&x=${key.repeat(1000)}`));
  const form = new FormData();
  form.set("key", key);
  form.set("mail", mailbox);
  await note("multipart", post(form));
  await note("broken multipart", post(`--x\r\nkey=${key}`, "multipart/form-data; boundary=x"));
  for (const request of [
    `GET /api?key=${key} HTTP/9.9\r\n\r\n`,
    `GET /api?key=${key} mail\r\n\r\n`,
    `${key}\r\n\r\n`,
    `GET /api HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\nBad Header ${key}: 1\r\n\r\n`,
    `GET /api?key=${key} HTTP/1.1\r\nHost: x\r\nX: ${key.repeat(2000)}\r\n\r\n`,
    `GET /x?key=${key} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    `GET /?key=${key} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 1\r\n\r\n`,
  ]) {
    answers.set(`${answers.size} raw`, await exchange(origin, request));
  }
  await speakToSmtp(service, key, answers);
}

async function speakToSmtp(service: ServiceProcess, key: string, answers: Answers): Promise<void> {
  using link = await SmtpLink.open(service.report.smtp.port);
  const mistakes = [
    `AUTH PLAIN ${key}`,
    key,
    `MAIL FROM:<${key}@example.org>`,
    `RCPT TO:<${key}@mails.localhost>`,
    "RSET",
  ];
  try {
    for (const command of mistakes) answers.set(`${answers.size} SMTP`, await link.command(command));
  } catch (error) {
    if (!(error instanceof LinkLost)) throw error;
  }
}

async function listen(service: ServiceProcess, keys: readonly string[], answers: Answers): Promise<void> {
  for (const key of keys) {
    for (const query of [{ key }, { key, mail: mailbox }, { key, mail: key }, { key, since: key }]) {
      using socket = new FeedSocket({ websocket: service.report.websocket, query, onMail: () => undefined });
      await socket.opened;
      const end = await Promise.race([socket.ended, socket.ping()]);
      answers.set(`${answers.size} WebSocket`, JSON.stringify(end ?? "open"));
    }
  }
}
