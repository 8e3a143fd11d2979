import assert from "node:assert/strict";
import { chmodSync, statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { SeedMail } from "@catmails/client";
import { CommandLine } from "./support/command-line.ts";
import { ServiceProcess } from "./support/service-process.ts";

const demo = "demo@mails.localhost";

describe("the database as a whole at the command line", () => {
  let line: CommandLine;
  const deliver = (subject: string): Promise<unknown> =>
    line.json(["deliver", demo], { stdin: `Subject: ${subject}\n\n.\n` });
  const subjects = async (): Promise<string[]> =>
    (await line.json<SeedMail[]>(["mail", "list", demo])).map(({ subject }) => subject);

  before(async () => {
    line = new CommandLine();
  });
  after(() => line[Symbol.asyncDispose]());

  test("migrate makes the database, and does nothing the second time", async () => {
    const first = await line.json<{ engine: string; schema_version: number }>(["migrate"]);
    assert.equal(first.engine, "sqlite");
    assert.ok(first.schema_version >= 1);
    assert.deepEqual(await line.json(["migrate"]), first);
  });

  test("doctor is content with it, and its findings are rows or objects", async () => {
    const ports = ["--smtp-port", "0", "--http-port", "0"];
    const text = await line.run(["doctor", ...ports]);
    assert.equal(text.code, 0, text.stdout);
    assert.match(text.stdout, /^VERDICT +CHECK +DETAIL\n/);
    const findings = await line.json<{ check: string; verdict: string }[]>(["doctor", ...ports]);
    assert.deepEqual(
      findings.map(({ check }) => check),
      ["node", "data directory", "disk", "server", "store", "clock", "smtp", "http", "domain"],
    );
    assert.deepEqual(
      findings.filter(({ verdict }) => verdict === "bad"),
      [],
    );
  });

  describe("while a server runs", () => {
    let server: ServiceProcess;
    before(async () => {
      server = await ServiceProcess.start({ dataDir: line.dataDir });
    });
    after(() => server[Symbol.asyncDispose]());

    test("doctor sees that it does and that its ports answer", async () => {
      const { port } = new URL(server.report.http);
      const at = ["--http-port", port, "--smtp-port", String(server.report.smtp.port)];
      const { code, stdout } = await line.run(["doctor", ...at]);
      assert.equal(code, 0, stdout);
      assert.match(stdout, /server +running/);
      assert.match(stdout, /smtp +127\.0\.0\.1 port \d+ answers/);
      assert.match(stdout, /http +127\.0\.0\.1 port \d+ answers/);
    });

    test("doctor ends with 1 when a port is not the server's", async () => {
      const { port } = new URL(server.report.http);
      const { code, stdout } = await line.run(["doctor", "--smtp-port", port, "--http-port", port]);
      assert.equal(code, 1);
      assert.match(stdout, /^bad +smtp +.*does not answer/m);
    });

    test("a backup takes one moment, private to its owner, and never overwrites", async () => {
      await deliver("before");
      const { stdout } = await line.run(["backup", "copy.db"]);
      assert.match(stdout, /^Wrote copy\.db: [\d.]+ [KM]iB in [\d.]+ s\.\n$/);
      assert.equal(statSync(join(line.directory, "copy.db")).mode & 0o777, 0o600);
      await deliver("after");
      const again = await line.run(["backup", "copy.db"]);
      assert.deepEqual([again.code, again.stdout], [1, ""]);
      assert.match(again.stderr, /copy\.db exists already/);
    });

    test("restore is refused", async () => {
      const { code, stderr } = await line.run(["restore", "copy.db", "--replace"]);
      assert.equal(code, 1);
      assert.match(stderr, /^error: .*server.*Stop it first/);
    });
  });

  test("restore replaces only when told to, and brings back what was there", async () => {
    assert.deepEqual(await subjects(), ["after", "before"]);
    const refused = await line.run(["restore", "copy.db"]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /^error: .*replace/);
    const { code, stderr } = await line.run(["restore", "copy.db", "--replace"]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(await subjects(), ["before"]);
  });

  test("restore makes a data directory where there was none", async () => {
    // As a copy that came from somewhere else may be.
    chmodSync(join(line.directory, "copy.db"), 0o644);
    await line.json(["restore", "copy.db", "--data-dir", "moved"]);
    assert.equal(statSync(join(line.directory, "moved/catmails.db")).mode & 0o777, 0o600);
    const mails = await line.json<SeedMail[]>(["mail", "list", demo, "--data-dir", "moved"]);
    assert.deepEqual(
      mails.map(({ subject }) => subject),
      ["before"],
    );
  });

  test("a file that is no backup, or not there, is refused and changes nothing", async () => {
    await writeFile(join(line.directory, "junk.db"), "not a database".repeat(1000));
    for (const file of ["junk.db", "absent.db"]) {
      const { code, stdout, stderr } = await line.run(["restore", file, "--replace"]);
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, /^error: /);
    }
    assert.deepEqual(await subjects(), ["before"]);
  });
});
