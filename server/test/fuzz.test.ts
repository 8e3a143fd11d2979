import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, describe, test } from "node:test";
import { targets as brokenTargets } from "./fuzz/broken-targets.ts";
import { fuzz, reproducerOf, tryInput } from "./fuzz/fuzzer.ts";
import { InputSource } from "./fuzz/inputs.ts";
import { targets } from "./fuzz/targets.ts";
import { FuzzThread } from "./fuzz/thread.ts";

// The long form is `npm run fuzz`.
const runs = 3000;
/** For a machine that does other things too. */
const hangMs = 10_000;

describe("under fuzz", () => {
  const thread = new FuzzThread(new URL("./fuzz/targets.ts", import.meta.url).href, hangMs);
  after(() => thread[Symbol.asyncDispose]());

  for (const { name, promise } of targets) {
    test(`${name}: ${promise}`, async (t) => {
      const seed = Math.floor(Math.random() * 2 ** 31);
      t.diagnostic(`seed ${seed}`);
      const { failure } = await fuzz(thread, { name, seed, runs, shrinkMs: 10_000 });
      if (failure !== null) assert.fail(`seed ${seed}\n${failure.why}\n${reproducerOf(name, failure.input)}`);
    });
  }
});

describe("the fuzzer finds", () => {
  const thread = new FuzzThread(new URL("./fuzz/broken-targets.ts", import.meta.url).href, 300);
  after(() => thread[Symbol.asyncDispose]());
  const smallest: Record<string, [input: string, why: RegExp]> = {
    throws: ["yz!", /cannot stand/],
    hangs: ["yzx", /more than 300 ms/],
    "hangs-in-a-pattern": ["yzx", /more than 300 ms/],
    rejects: ["!!", /cannot stand/],
    "leaves-a-rejection": ["!!", /unhandledRejection: Error: nobody waits/],
    "never-answers": ["zx", /more than 300 ms/],
  };
  for (const { name } of brokenTargets) {
    test(`what ${name}, and the input that shows it`, async () => {
      const { failure } = await fuzz(thread, { name, seed: 1, runs: 100_000, shrinkMs: 1000 });
      assert.ok(failure !== null);
      const [input, why] = smallest[name] ?? assert.fail("no expectation");
      assert.match(failure.why, why);
      assert.ok(Buffer.from(failure.input).includes(input), "the input shows it");
      if (!/more than/.test(failure.why)) assert.equal(Buffer.from(failure.input).toString(), input);
      assert.notEqual(await tryInput(thread, name, failure.input), null);
    });
  }
});

test("the same seed gives the same inputs, another one others", () => {
  for (const target of targets) {
    const [one, again, other] = [1, 1, 2].map((seed) => new InputSource(target, seed));
    const list = (source: InputSource | undefined): string[] =>
      Array.from({ length: 200 }, () => source?.next().toString("base64") ?? "");
    const first = list(one);
    assert.deepEqual(list(again), first, target.name);
    assert.notDeepEqual(list(other), first, target.name);
  }
});

test("npm run fuzz runs a target from a seed that it prints, has help, and says what would be right", () => {
  const entry = new URL("./fuzz/fuzz.ts", import.meta.url).pathname;
  const run = (...args: string[]): { status: number | null; text: string } => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [entry, ...args], { encoding: "utf8" });
    return { status, text: stdout + stderr };
  };
  const good = run("--target", "smtp-lines", "--runs", "500", "--seed", "7");
  assert.match(good.text, /^seed 7, 500 runs for each target\nsmtp-lines +500 runs +\d+\.\d s  ok\n$/);
  assert.equal(good.status, 0);
  const wrong = run("--target", "nothing");
  assert.equal(wrong.status, 2);
  assert.match(wrong.text, /There is no target nothing\.\n\nUsage: npm run fuzz/);
  for (const { name, promise } of targets) assert.ok(wrong.text.includes(name) && wrong.text.includes(promise), name);
});
