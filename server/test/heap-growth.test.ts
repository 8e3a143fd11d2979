import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { projectRoot } from "./support/project-files.ts";
import { TemporaryDirectory } from "./support/temporary-directory.ts";

const run = promisify(execFile);

const collections = 20;

/**
 * How many times of what is alive the old heap may have before the next full collection, by what V8 says after several in a program
 * that keeps nothing of what it makes.
 */
async function allowance(before: string): Promise<number> {
  const script = `${before}; globalThis.kept = Array.from({ length: 20_000 }, (_, n) => ({ n }));
    for (let i = 0; i < ${collections}; i++) {
      for (let n = 0; n < 1_000_000; n++) globalThis.last = { n };
      gc();
    }
    process.exit();`;
  const flags = ["--expose-gc", "--trace-gc", "--trace-gc-verbose", "--input-type=module"];
  const { stdout } = await run(process.execPath, [...flags, "--eval", script], { maxBuffer: 16 * 1024 * 1024 });
  const factors = Array.from(stdout.matchAll(/\[HeapController\] factor ([\d.]+) /g), ([, factor]) => Number(factor));
  assert.ok(factors.length >= collections, "V8 says it in another way now");
  return factors.at(-1) ?? 0;
}

test("a server that keeps little does not collect all of its garbage again and again", async () => {
  using directory = new TemporaryDirectory();
  const main = JSON.stringify(join(projectRoot, "server/src/main.ts"));
  const args = JSON.stringify(["node", "catmails", "serve", "--data-dir", join(directory.path, "data"), "--smtp-port"]);
  // The command itself, which ends because its port is taken.
  const serve = `const { createServer } = await import("node:net");
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const code = await (await import(${main})).main([...${args}, String(taken.address().port)]);
    if (code !== 1) process.exit(2)`;
  assert.equal(await allowance(serve), 3);
  // The control: else there is nothing to do.
  assert.ok((await allowance("")) < 2);
});
