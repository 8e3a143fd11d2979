/** The thread in which targets run; see `thread.ts` for what it is told and says. */
import { parentPort, workerData } from "node:worker_threads";
import { InputSource } from "./inputs.ts";
import type { Target } from "./target.ts";
import { Watch, type Failure, type Order, type Report, type Setup } from "./thread.ts";

const { module, memory } = workerData as Setup;
const { targets } = (await import(module)) as { targets: readonly Target[] };
const watch = new Watch(memory);
const sources = new Map<string, InputSource>();
let unhandled: string | null = null;

for (const event of ["unhandledRejection", "uncaughtException"] as const) {
  process.on(event, (error: unknown) => {
    unhandled ??= `${event}: ${describe(error)}`;
  });
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Checks one input; answers what is wrong, `null` when nothing is. */
async function check(input: Buffer, checked: Target): Promise<string | null> {
  watch.begin(input);
  try {
    const pending = checked.check(input);
    if (pending instanceof Promise) await pending;
    return null;
  } catch (error) {
    return describe(error);
  } finally {
    watch.end();
  }
}

/** Lets rejections that nobody took come to light. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function tryOne(input: Buffer, checked: Target): Promise<Failure | null> {
  const copy = Uint8Array.from(input);
  unhandled = null;
  const why = await check(input, checked);
  await turn();
  const fault = why ?? unhandled;
  return fault === null ? null : { input: copy, why: fault };
}

/** Rejections that nobody took are looked for after so many runs; which of them it was is found by trying each again. */
const runsPerTurn = 100;

async function run(count: number, source: InputSource, checked: Target): Promise<Report> {
  let recent: Buffer[] = [];
  for (let done = 1; done <= count; done++) {
    const input = source.next();
    recent.push(Buffer.from(input));
    const why = await check(input, checked);
    if (why !== null) return { runs: done, failure: { input: watch.input(), why } };
    if (done % runsPerTurn !== 0 && done !== count) continue;
    await turn();
    if (unhandled !== null) return { runs: done, failure: await findCulprit(recent, unhandled, checked) };
    recent = [];
  }
  return { runs: count, failure: null };
}

async function findCulprit(inputs: readonly Buffer[], why: string, checked: Target): Promise<Failure> {
  for (const input of inputs) {
    const failure = await tryOne(input, checked);
    if (failure !== null) return failure;
  }
  return { input: watch.input(), why: `${why}\n(met in the ${inputs.length} inputs up to this one)` };
}

function sourceOf(checked: Target, seed: number): InputSource {
  const key = `${checked.name} ${seed}`;
  const source = sources.get(key) ?? new InputSource(checked, seed);
  // The seeds of the others are let go.
  sources.clear();
  sources.set(key, source);
  return source;
}

async function obey(order: Order): Promise<Report> {
  const target = targets.find(({ name }) => name === order.name);
  if (target === undefined) throw new Error(`there is no target ${order.name}`);
  if (order.kind === "run") return run(order.runs, sourceOf(target, order.seed), target);
  return { runs: 1, failure: await tryOne(Buffer.from(order.input), target) };
}

parentPort?.on("message", (order: Order) => {
  void obey(order).then((report) => parentPort?.postMessage(report));
});
