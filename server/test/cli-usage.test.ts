import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { settings } from "../src/settings.ts";
import { CommandLine } from "./support/command-line.ts";
import { projectRoot, readProjectFile } from "./support/project-files.ts";

const commands = `serve|user add|user list|user remove|key add|key list|key revoke|alias add|alias list|alias remove
domain add|domain list|domain set|domain remove|allow add|allow list|allow remove|block add|block list|block remove|mail list|mail show|mail raw|tail|deliver|migrate|backup|restore|doctor|config`
  .split(/[|\n]/)
  .map((line) => line.split(" "));

let line: CommandLine;
before(async () => {
  line = new CommandLine();
});
after(() => line[Symbol.asyncDispose]());

describe("help", () => {
  let help: Map<string, string>;
  before(async () => {
    // One process prints them all, which is thirty times as fast as thirty processes.
    const script = `
      const { main } = await import(process.argv[1]);
      for (const args of JSON.parse(process.argv[2])) {
        process.stdout.write("\\0" + args.join(" ") + "\\0");
        process.exitCode ||= await main(["node", "catmails", ...args, "--help"]);
      }`;
    const running = line.startNode(
      ["--input-type=module", "-e", script],
      [join(projectRoot, "server/src/main.ts"), JSON.stringify([[], ...commands])],
    );
    const { code, stdout, stderr } = await running.ended;
    assert.equal(code, 0, stderr);
    const parts = stdout.split("\0").slice(1);
    help = new Map(parts.flatMap((part, index) => (index % 2 === 0 ? [[part, parts[index + 1] ?? ""]] : [])));
  });

  test("every command has one with an example of itself", () => {
    for (const [name, text] of help) {
      assert.match(text, /^Usage: catmails/, name);
      assert.match(
        text,
        new RegExp(`\\nExamples?:\\n(?:.*\\n)*?.*catmails ${name}`),
        `${name} has no example of itself`,
      );
    }
  });

  test("a command shows the flags that matter, and serve lists every setting with its default", () => {
    const text = help.get("mail list") ?? "";
    assert.match(text, /--data-dir/);
    assert.match(text, /--json/);
    assert.doesNotMatch(text, /--http-port/);
    for (const [name, { fallback }] of Object.entries(settings)) {
      const flag = `--${name.replaceAll("_", "-")}`;
      assert.match(help.get("serve") ?? "", new RegExp(`^ +${flag} +${fallback ?? ""}`, "m"));
    }
  });

  test("docs/cli.md has every command", () => {
    const text = readProjectFile("docs/cli.md");
    for (const name of commands) assert.match(text, new RegExp(`^\\| \`${name.join(" ")}[ \`]`, "m"));
  });
});

describe("asked for wrongly ends with 2 and says what would be right", () => {
  const faults: readonly [string, RegExp][] = [
    ["usr list", /^error: unknown command 'usr'\. Did you mean user\?\n$/],
    ["user ad", /^error: unknown command 'ad' \(Did you mean add\?\)\n$/],
    ["serve --http-prot 80", /^error: unknown option '--http-prot' \(Did you mean --http-port\?\)\n$/],
    ["--smtp-prot 80", /Did you mean --smtp-port\?/],
    ["user add nobody", /^error: .*'nobody'.* It is not a mail address\.\n$/],
    ["user add a+b@mails.test", /reaches the mailbox of name/],
    ["key add --usr a@mails.test", /^error: unknown option '--usr'\. Did you mean --user\?\n$/],
    ["key add", /required option '--user <address>'/],
    ["key add --user a@mails.test --expires 2020-01-01", /It is in the past/],
    ["key add --user a@mails.test --expires soon", /Give a duration/],
    ["domain set mails.test", /--catch-all ADDRESS, --no-catch-all or --dmarc POLICY/],
    ["domain set mails.test --dmarc perhaps", /accept, mark, refuse/],
    ["block add 192.0.2.0/33", /It is no address, domain or network/],
    ["mail list a@mails.test --limit x", /It is not a whole number/],
    ["config --http-port 70000", /^error: --http-port: "70000" is not a port from 0 to 65535\.\n$/],
    ["user list mk_0123456789abcdefghijklmnopqrstuvwxyz", /too many arguments .* mk_\[redacted\]/],
    ["user", /^Usage: catmails user/],
  ];
  for (const [args, message] of faults) {
    test(`catmails ${args}`, async () => {
      const { code, stdout, stderr } = await line.run(args.split(" "));
      assert.equal(code, 2);
      assert.equal(stdout, "");
      assert.match(stderr, message);
    });
  }

  test("with --json as one object, and a wrong variable and file too", async () => {
    const { code, stdout, stderr } = await line.run(["config", "--json"], { env: { CATMAILS_HTTP_PROT: "1" } });
    assert.deepEqual([code, stdout], [2, ""]);
    const { error, code: name } = JSON.parse(stderr) as { error: string; code: string };
    assert.match(error, /CATMAILS_HTTP_PROT.* Did you mean CATMAILS_HTTP_PORT\?/);
    assert.equal(name, "config");
  });
});

describe("config", () => {
  test("shows each value as the file takes it, with its origin; flags beat environment beats file; secrets stay hidden", async () => {
    const file = join(line.directory, "other.yaml");
    await writeFile(file, "http_port: 8001\nsmtp_port: 2526\ntemp_ttl: 90m\ndomain: mails.test\n");
    const env = {
      CATMAILS_SMTP_PORT: "2527",
      CATMAILS_HTTP_PORT: "8002",
      CATMAILS_BOOTSTRAP_KEY: "mk_0123456789abcdef",
    };
    const args = ["config", "--config", file, "--http-port", "8003"];
    const text = await line.run(args, { env });
    assert.equal(text.code, 0, text.stderr);
    assert.match(text.stdout, /^http_port: 8003 +# flag$/m);
    assert.match(text.stdout, /^smtp_port: 2527 +# environment$/m);
    assert.match(text.stdout, /^temp_ttl: 90m +# file$/m);
    assert.match(text.stdout, /^bootstrap_mail: demo@mails\.test +# default$/m);
    assert.match(text.stdout, /^# bootstrap_key: hidden +# environment$/m);
    assert.doesNotMatch(text.stdout, /mk_/);

    await writeFile(join(line.directory, "catmails.yaml"), text.stdout);
    const again = await line.json<{ file: string; settings: Record<string, unknown> }>(["config"]);
    assert.deepEqual(again.settings["temp_ttl"], { value: "90m", origin: "file" });
    assert.deepEqual(again.settings["http_port"], { value: 8003, origin: "file" });
    assert.deepEqual(again.settings["bootstrap_key"], { value: null, origin: "default" });
    assert.deepEqual(Object.keys(again.settings), Object.keys(settings));
  });
});

describe("a data directory that cannot be made", () => {
  for (const [what, path] of [
    ["under a file", "/dev/null/x"],
    ["where the kernel makes the entries", "/proc/catmails-data/x"],
  ] as const) {
    test(`${what} ends the start with 1`, { skip: process.platform !== "linux", timeout: 20_000 }, async () => {
      const { code, stdout, stderr } = await line.run(["migrate", "--data-dir", path]);
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, /^error: Cannot make the directory .*\((?:ENOTDIR|ENOENT|EACCES)\)\.$/m);
    });
  }
});

describe("without a data directory", () => {
  for (const args of ["user list", "mail list a@mails.test", "backup copy.db", "tail a@mails.test"]) {
    test(`catmails ${args} fails and makes none`, async () => {
      const { code, stdout, stderr } = await line.run([...args.split(" "), "--data-dir", "nothing-here"]);
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, /^error: No data directory at nothing-here\. Start the server once/);
    });
  }
});
