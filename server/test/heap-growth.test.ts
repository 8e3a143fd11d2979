import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { projectRoot } from "./support/project-files.ts";

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
    }`;
  const flags = ["--expose-gc", "--trace-gc", "--trace-gc-verbose", "--input-type=module"];
  const { stdout } = await run(process.execPath, [...flags, "--eval", script], { maxBuffer: 16 * 1024 * 1024 });
  const factors = Array.from(stdout.matchAll(/\[HeapController\] factor ([\d.]+) /g), ([, factor]) => Number(factor));
  assert.equal(factors.length, collections, "V8 says it in another way now");
  return factors.at(-1) ?? 0;
}

test("a server that keeps little does not collect all of its garbage again and again", async () => {
  const module = JSON.stringify(join(projectRoot, "server/src/cli/heap-growth.ts"));
  assert.equal(await allowance(`(await import(${module})).letHeapGrow()`), 3);
  // The control: else there is nothing to do.
  assert.ok((await allowance("")) < 2);
});
