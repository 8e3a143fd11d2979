import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { projectRoot } from "./support/project-files.ts";

const door = join(projectRoot, "server/bin/catmails.mjs");

function open(version: string): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const versions = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } })`;
  const args = ["--import", `data:text/javascript,${encodeURIComponent(versions)}`, door, "--help"];
  return new Promise((resolve) => {
    execFile(process.execPath, args, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }));
  });
}

for (const version of ["18.20.0", "20.19.5", "24.15.0"]) {
  test(`Node ${version} is turned away with exit 1 and one line that says what is needed`, async () => {
    const { code, stdout, stderr } = await open(version);
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(stderr, new RegExp(`^Cat Mails needs Node\\.js 24\\.16 or newer; this is ${version} \\(.+\\)\\.\\n$`));
  });
}

for (const version of ["24.16.0", "25.0.0"]) {
  test(`Node ${version} is let in`, async () => {
    const { code, stdout } = await open(version);
    assert.equal(code, 0);
    assert.match(stdout, /catmails/);
  });
}

test("the front door is executable", () => {
  assert.equal(statSync(door).mode & 0o111, 0o111);
});
