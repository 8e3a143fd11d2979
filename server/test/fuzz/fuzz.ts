import { parseArgs } from "node:util";
import { fuzz, reproducerOf, tryInput, type FuzzResult } from "./fuzzer.ts";
import { targets } from "./targets.ts";
import { FuzzThread } from "./thread.ts";

const module = new URL("./targets.ts", import.meta.url).href;
const defaultRuns = 100_000;
const defaultHangMs = 2000;
const shrinkMs = 10_000;

const usage = `Usage: npm run fuzz -- [options]

Gives random, structured and wounded inputs to every parser of foreign bytes, in a thread that is cut off when it
hangs, and checks what each promises. Ends with 1 at a failure, after a small input that shows it and the command to see it again.

  --target <name>   only this one; may be given again
  --runs <count>    inputs for each target (${defaultRuns})
  --seed <number>   the same inputs as in the run that printed it; otherwise chance
  --hang-ms <ms>    longest time for one input (${defaultHangMs})
  --input <base64>  only this input, for one target
  --help

Targets:
${targets.map(({ name, promise }) => `  ${name.padEnd(18)}${promise}`).join("\n")}
`;

class UsageError extends Error {
  override name = "UsageError";
}

interface Options {
  names: string[];
  runs: number;
  seed: number;
  hangMs: number;
  input: Buffer | null;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** `null` when only help is wanted. */
function readOptions(args: string[]): Options | null {
  const { values } = parseArgs({
    args,
    options: {
      target: { type: "string", multiple: true },
      runs: { type: "string" },
      seed: { type: "string" },
      "hang-ms": { type: "string" },
      input: { type: "string" },
      help: { type: "boolean" },
    },
  });
  if (values.help === true) return null;
  const names = values.target ?? targets.map(({ name }) => name);
  const unknown = names.find((name) => !targets.some((target) => target.name === name));
  if (unknown !== undefined) throw new UsageError(`There is no target ${unknown}.`);
  if (values.input !== undefined && names.length !== 1) throw new UsageError("--input needs one --target.");
  return {
    names,
    runs: readCount("--runs", values.runs, defaultRuns),
    seed: readCount("--seed", values.seed, Math.floor(Math.random() * 2 ** 31)),
    hangMs: readCount("--hang-ms", values["hang-ms"], defaultHangMs),
    input: values.input === undefined ? null : Buffer.from(values.input, "base64"),
  };
}

function readCount(flag: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  if (!/^\d{1,12}$/.test(text)) throw new UsageError(`${flag} is a whole number.`);
  return Number(text);
}

async function runAll({ names, runs, seed, hangMs }: Options): Promise<boolean> {
  say(`seed ${seed}, ${runs} runs for each target`);
  let isGood = true;
  await using thread = new FuzzThread(module, hangMs);
  for (const name of names) {
    const onProgress = (done: number): void => showProgress(name, done);
    const result = await fuzz(thread, { name, seed, runs, shrinkMs, onProgress });
    say(describe(name, seed, result));
    isGood &&= result.failure === null;
  }
  return isGood;
}

/** One line that changes, for people only. */
function showProgress(name: string, runs: number): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${name} ${runs}\u001b[K\r`);
}

function describe(name: string, seed: number, { runs, seconds, failure }: FuzzResult): string {
  const head = `${name.padEnd(18)}${String(runs).padStart(9)} runs ${seconds.toFixed(1).padStart(7)} s`;
  if (failure === null) return `${head}  ok`;
  return `${head}  FAILED with seed ${seed}\n${failure.why}\n${reproducerOf(name, failure.input)}`;
}

async function runOne({ names, hangMs }: Options, input: Buffer): Promise<boolean> {
  const [name = ""] = names;
  await using thread = new FuzzThread(module, hangMs);
  const failure = await tryInput(thread, name, input);
  say(failure === null ? `${name} keeps its promise` : `${failure.why}\n${reproducerOf(name, failure.input)}`);
  return failure === null;
}

async function main(): Promise<number> {
  try {
    const options = readOptions(process.argv.slice(2));
    if (options === null) {
      say(usage);
      return 0;
    }
    const isGood = options.input === null ? await runAll(options) : await runOne(options, options.input);
    return isGood ? 0 : 1;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const isUsage = error instanceof UsageError || ("code" in error && String(error.code).startsWith("ERR_PARSE_ARGS"));
    process.stderr.write(isUsage ? `${error.message}\n\n${usage}` : `${error.stack}\n`);
    return isUsage ? 2 : 1;
  }
}

process.exitCode = await main();
