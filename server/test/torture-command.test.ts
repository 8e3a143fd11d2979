import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { CommandLine, type CommandResult } from "./support/command-line.ts";
import { projectRoot } from "./support/project-files.ts";

describe("npm run torture", () => {
  const script = [join(projectRoot, "server/test/faults/torture.ts")];
  let line: CommandLine;
  before(() => {
    line = new CommandLine();
  });
  after(() => line[Symbol.asyncDispose]());
  const torture = (...args: string[]): Promise<CommandResult> => line.startNode(script, args).ended;

  test("explains itself, and every fault that it knows", async () => {
    const { code, stdout } = await torture("--help");
    assert.equal(code, 0);
    for (const word of ["--cycles", "--only", "--seed", "--dir", "--report", "kill", "power", "backup"]) {
      assert.ok(stdout.includes(`  ${word}`), word);
    }
  });

  test("ends with 2 when it is told nonsense", async () => {
    for (const args of [
      ["--only", "kil"],
      ["--cycle", "1"],
    ]) {
      const { code, stdout, stderr } = await torture(...args);
      assert.deepEqual([code, stdout], [2, ""], args.join(" "));
      assert.match(stderr, /--only FAULT/);
    }
  });

  test("reports what it has seen when it is interrupted", async () => {
    const report = join(line.directory, "report.md");
    const running = line.startNode(script, ["--only", "stop", "--cycles", "2000", "--seed", "7", "--report", report]);
    await running.saw("stdout", /stop 1 of 100/);
    running.child.kill("SIGINT");
    const { code, stdout } = await running.ended;
    assert.equal(code, 130, stdout);
    const table = readFileSync(report, "utf8");
    assert.ok(stdout.includes(table.trimEnd()));
    assert.match(table, /^\| fault +\| times .*\n\| -+ \|.*\n\| `stop` +\| +[12] \| /);
    assert.match(table, /npm run torture -- --cycles 2000 --only stop --seed 7/);
  });
});
