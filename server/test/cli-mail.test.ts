import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { SeedMail, SeedPush } from "@catmails/client";
import { openSqliteStore } from "../src/store/sqlite/sqlite-store.ts";
import type { Store } from "../src/store/store.ts";
import { CommandLine, type CommandResult } from "./support/command-line.ts";

const demo = "demo@mails.localhost";
const code = "From: Cat <cat@example.com>\nSubject: Login code\n\nYour code is 482913\n";

/** Mails in and out by commands, while this process has the same store open. */
describe("mails at the command line", () => {
  let line: CommandLine;
  let store: Store;

  const run = (args: string, stdin = ""): Promise<CommandResult> => line.run(args.split(" "), { stdin });
  const deliver = (args: string, stdin: string | Uint8Array): Promise<{ receipt: string; recipients: string[] }> =>
    line.json(["deliver", ...args.split(" ")], { stdin });
  const list = (args: string): Promise<SeedMail[]> => line.json(["mail", "list", ...args.split(" ")]);
  const rawOf = async (id: number): Promise<string> => (await run(`mail raw ${id} --user ${demo}`)).stdout;

  before(async () => {
    line = new CommandLine();
    await line.json(["user", "add", demo]);
    await line.json(["user", "add", "other@mails.localhost"]);
    await line.json(["alias", "add", "ci@mails.localhost", "--user", demo]);
    store = await openSqliteStore({ dataDir: line.dataDir });
  });
  after(async () => {
    await store?.[Symbol.asyncDispose]();
    await line[Symbol.asyncDispose]();
  });

  test("a delivered mail is stored, and read back in the API's form, with its tag", async () => {
    const told = new Promise<void>((resolve) => store.onForeignChange(resolve));
    const { receipt, recipients } = await deliver("demo+ci@mails.localhost --from sender@example.com", code);
    assert.ok(receipt.length > 10);
    assert.deepEqual(recipients, ["demo+ci@mails.localhost"]);
    await told;
    const [mail, ...rest] = await list(demo);
    assert.deepEqual(rest, []);
    assert.deepEqual(
      { ...mail, received_at: "" },
      {
        id: 1,
        mail_from: "cat@example.com",
        mail_to: "demo+ci@mails.localhost",
        subject: "Login code",
        content: "Your code is 482913",
        received_at: "",
      },
    );
    assert.match(mail?.received_at ?? "", /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
    assert.deepEqual(await list("demo+other@mails.localhost"), []);
  });

  test("raw is byte-exact, with CRLF where the pipe had LF and every other byte as it was", async () => {
    assert.equal(await rawOf(1), code.replaceAll("\n", "\r\n"));
    const odd = Buffer.from([...Buffer.from("Subject: odd\r\n\nA\rB\n.\n\0\n"), 0xff, 0xe9, 0x80]);
    await deliver(demo, odd);
    const running = line.start(["mail", "raw", "2", "--user", demo]);
    const chunks: Buffer[] = [];
    running.child.stdout.setEncoding("latin1");
    for await (const chunk of running.child.stdout as AsyncIterable<string>) chunks.push(Buffer.from(chunk, "latin1"));
    const expected = [...Buffer.from("Subject: odd\r\n\r\nA\rB\r\n.\r\n\0\r\n"), 0xff, 0xe9, 0x80, 13, 10];
    assert.deepEqual([...Buffer.concat(chunks)], expected);
  });

  test("one refused recipient, and nobody gets it; the reason says which", async () => {
    const { code: exit, stdout, stderr } = await run(`deliver ${demo} nobody@mails.localhost x@foreign.test`, code);
    assert.deepEqual([exit, stdout], [1, ""]);
    assert.equal(
      stderr,
      "error: Nothing was stored: there is no mailbox nobody@mails.localhost; foreign.test is not served here.\n",
    );
    assert.equal((await list(demo)).length, 2);
  });

  test("no mail, one that is too large, and one that loops are refused", async () => {
    assert.match((await run(`deliver ${demo}`)).stderr, /no mail on standard input/);
    const large = await run(`deliver ${demo} --smtp-max-message-bytes 1KiB`, `Subject: x\n\n${"x".repeat(1024)}\n`);
    assert.match(large.stderr, /larger than 1024 bytes/);
    const looping = await run(`deliver ${demo} --smtp-max-received 1`, `Received: a\nReceived: b\n${code}`);
    assert.match(looping.stderr, /it loops/);
    assert.deepEqual([large.code, looping.code], [1, 1]);
  });

  test("list pages down by --before and up by --since, newest first, and filters by mailbox", async () => {
    for (const name of ["three", "four"]) await deliver("ci@mails.localhost", `Subject: ${name}\n\n.\n`);
    const ids = async (args: string): Promise<number[]> => (await list(args)).map(({ id }) => id);
    assert.deepEqual(await ids("ci@mails.localhost"), [4, 3]);
    assert.deepEqual(await ids(`${demo} --limit 1`), [2]);
    assert.deepEqual(await ids(`${demo} --before 2`), [1]);
    assert.deepEqual(await ids("ci@mails.localhost --since 0 --limit 1"), [3]);
    const { stdout } = await run("mail list ci@mails.localhost");
    assert.match(stdout, /^ID +RECEIVED +FROM +TO +SUBJECT\n +4 /);
    assert.match((await run("mail list other@mails.localhost")).stdout, /^No mails for other@mails\.localhost\./);
  });

  test("show prints one mail, and nothing that a terminal would obey", async () => {
    await deliver("ci@mails.localhost", "From: a@example.com\nSubject: \u001b[31mred\n\n\u001b]0;title\u0007text\n");
    const { stdout } = await run(`mail show 5 --user ${demo}`);
    assert.match(stdout, /^Id +5\nFrom +a@example\.com\nTo +ci@mails\.localhost\nSender +<>\nSubject .*red\n/);
    assert.match(stdout, /title.*text\n/);
    assert.ok(!stdout.includes("\u001b") && !stdout.includes("\u0007"));
    const shown = await line.json<{ id: number; size: number; envelope_from: string; defects: string[] }>([
      "mail",
      "show",
      "1",
      "--user",
      demo,
    ]);
    assert.deepEqual([shown.id, shown.size, shown.envelope_from], [1, code.length + 4, "sender@example.com"]);
  });

  test("a mail of somebody else is no more there than one that is not", async () => {
    const foreign = await run("mail show 1 --user other@mails.localhost");
    const absent = await run("mail show 99 --user other@mails.localhost");
    assert.deepEqual([foreign.code, absent.code], [1, 1]);
    assert.equal(foreign.stderr.replace("mail 1", "mail 99"), absent.stderr);
  });

  test("tail prints what was stored since, then each mail as another process stores it, and ends with 0 on Ctrl-C", async () => {
    const tail = line.start(["tail", "ci@mails.localhost", "--since", "3", "--json"]);
    await tail.saw("stdout", /"id":5/);
    await deliver("ci@mails.localhost", code);
    await deliver(demo, code);
    await deliver("ci+x@mails.localhost", "Subject: last\n\n.\n");
    await tail.saw("stdout", /"id":8.*\n/);
    tail.child.kill("SIGINT");
    const { code: exit, stdout, stderr } = await tail.ended;
    assert.equal(exit, 0, stderr);
    const frames = stdout
      .trimEnd()
      .split("\n")
      .map((text) => JSON.parse(text) as SeedPush);
    assert.deepEqual(
      frames.map(({ id, to }) => [id, to]),
      [
        [4, "ci@mails.localhost"],
        [5, "ci@mails.localhost"],
        [6, "ci@mails.localhost"],
        [8, "ci+x@mails.localhost"],
      ],
    );
    assert.deepEqual(Object.keys(frames[2] ?? {}), ["from", "to", "subject", "content", "received_at", "id"]);
    assert.equal(frames[2]?.content, "Your code is 482913");
  });

  test("tail follows one user at a time, and ends when its mailbox goes", async () => {
    const two = await run(`tail ${demo} other@mails.localhost`);
    assert.equal(two.code, 1);
    assert.match(two.stderr, /follow one user at a time/);
    const tail = line.start(["tail", "ci@mails.localhost"]);
    await tail.saw("stderr", /Following ci@mails\.localhost/);
    await line.json(["alias", "remove", "ci@mails.localhost"]);
    const { code: exit, stderr } = await tail.ended;
    assert.equal(exit, 1);
    assert.match(stderr, /The mailbox of ci@mails\.localhost is gone/);
  });
});
