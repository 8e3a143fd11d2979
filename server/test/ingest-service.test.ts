import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { loadConfig } from "../src/config.ts";
import { filesIn, findNeedles, needlesOf } from "./faults/needles.ts";
import { listMails } from "./support/api-client.ts";
import { CommandLine } from "./support/command-line.ts";
import { outlineOf } from "./support/documents.ts";
import { postMail } from "./support/ingest-client.ts";
import { projectRoot } from "./support/project-files.ts";
import { ServiceProcess, inheritedEnvironment } from "./support/service-process.ts";

const mailbox = "demo@mails.localhost";
const signingKey = "a-signing-key-of-a-test-0123456789";

/** The blocks of docs/ingest.md that post something, in their order, for another server. */
function documentedCommands(origin: string): string {
  const { codeBlocks } = outlineOf(readFileSync(join(projectRoot, "docs/ingest.md"), "utf8"));
  const blocks = codeBlocks.filter(({ language }) => language === "sh").map(({ lines }) => lines.join("\n"));
  const posting = blocks.filter((block) => block.includes("127.0.0.1:8080") || block.startsWith("export INGEST="));
  return posting.join("\n").replaceAll("http://127.0.0.1:8080", origin);
}

test("the commands of docs/ingest.md work as pasted, and leave no secret behind", async (t) => {
  if (spawnSync("openssl", ["version"]).status !== 0) return t.skip("openssl is not installed");
  await using shell = new CommandLine();
  await using service = await ServiceProcess.start({
    dataDir: shell.dataDir,
    env: { CATMAILS_MAILGUN_SIGNING_KEY: signingKey, CATMAILS_LOG_LEVEL: "trace" },
  });
  const { origin } = new URL(service.report.http);
  const program = join(projectRoot, "server/bin/catmails.mjs");
  writeFileSync(join(shell.directory, "npx"), `#!/bin/sh\nshift\nexec "${process.execPath}" "${program}" "$@"\n`);
  chmodSync(join(shell.directory, "npx"), 0o755);
  const script = `set -e\n${documentedCommands(origin)}\nprintf '\\nKEY %s' "$INGEST"`;
  const { stdout, stderr, status } = spawnSync("bash", ["-c", script], {
    cwd: shell.directory,
    encoding: "utf8",
    env: {
      ...inheritedEnvironment(),
      PATH: `${shell.directory}:${process.env["PATH"] ?? ""}`,
      CATMAILS_DATA_DIR: shell.dataDir,
      CATMAILS_MAILGUN_SIGNING_KEY: signingKey,
    },
  });
  assert.equal(status, 0, stdout + stderr);
  assert.equal(stdout.match(/"success":true/g)?.length, 3, stdout);
  const { data } = await listMails(origin, { mail: mailbox }, { key: service.report.key ?? "" });
  assert.deepEqual(
    data.map((mail) => [mail.subject, mail.mail_to]),
    [
      ["A file", mailbox],
      ["A file", "demo+ci@mails.localhost"],
      ["A file", mailbox],
      ["Hello", mailbox],
    ],
  );
  const key = /KEY (mk_\w+)/.exec(stdout)?.[1] ?? assert.fail("no key was made");
  await postMail(origin, { to: "nobody@mails.localhost", key }, { key: "mk_wrong", body: "x" });
  const needles = [...needlesOf(key, { publicCharacters: 11 }), signingKey, "Your code is 482913"];
  const logged = new Map([["log", service.log.join("\n")]]);
  assert.ok(service.log.filter((line) => line.includes("Mail stored")).length === 3);
  assert.deepEqual(findNeedles(logged, needles), []);
  assert.deepEqual(findNeedles(filesIn(shell.dataDir), needlesOf(key, { publicCharacters: 11 })), []);
  const shown = await shell.run(["config", "--data-dir", shell.dataDir], {
    env: { CATMAILS_MAILGUN_SIGNING_KEY: signingKey },
  });
  assert.equal(shown.code, 0);
  assert.equal(shown.stdout.includes(signingKey), false);
});

test("a mail that was answered 200 is there after a kill, and a stop finishes what is on its way", async () => {
  await using shell = new CommandLine();
  const options = { dataDir: shell.dataDir, env: { CATMAILS_SMTP_MAX_MESSAGE_BYTES: "1MiB" } };
  await using first = await ServiceProcess.start(options);
  const { key } = await shell.json<{ key: string }>([
    "key",
    "add",
    "--user",
    mailbox,
    "--ingest",
    "--data-dir",
    shell.dataDir,
  ]);
  const reading = first.report.key ?? "";
  const send = (service: ServiceProcess, subject: string): Promise<number | null> =>
    postMail(
      new URL(service.report.http).origin,
      { to: mailbox },
      { key, body: `Subject: ${subject}\n\n${"x".repeat(50_000)}` },
    )
      .then(({ status }) => status)
      .catch(() => null);
  const subjectsOf = async (service: ServiceProcess): Promise<Set<string>> =>
    new Set(
      (
        await listMails(new URL(service.report.http).origin, { mail: mailbox, limit: "200" }, { key: reading })
      ).data.map(({ subject }) => subject),
    );
  const taken: string[] = [];
  const flood = (service: ServiceProcess, name: string): Promise<unknown> =>
    Promise.all(
      Array.from({ length: 40 }, async (_, at) => {
        if ((await send(service, `${name}${at}`)) === 200) taken.push(`${name}${at}`);
      }),
    );
  await send(first, "before");
  const killed = flood(first, "kill");
  await first.kill();
  await killed;
  await using second = await ServiceProcess.start(options);
  const stopped = flood(second, "stop");
  assert.equal(await second.stop(), 0);
  await stopped;
  await using third = await ServiceProcess.start(options);
  const stored = await subjectsOf(third);
  assert.deepEqual(
    taken.filter((subject) => !stored.has(subject)),
    [],
  );
  assert.ok(stored.has("before"));
});

test("what providers are configured with is checked at the start", () => {
  const load = (env: Record<string, string>) => () => loadConfig({ env, cwd: "/nonexistent" });
  assert.throws(load({ CATMAILS_SENDGRID_PUBLIC_KEY: "no key" }), /sendgrid_public_key: it is not a public key/);
  assert.throws(load({ CATMAILS_SES_TOPICS: "arn:aws:sns:us-east-1:1:x" }), /ses_topics: ".*" is not the ARN/);
  const topics = "arn:aws:sns:us-east-1:123456789012:a, arn:aws-cn:sns:cn-north-1:123456789012:b";
  assert.equal(load({ CATMAILS_SES_TOPICS: topics })().config.ses_topics, topics);
});
