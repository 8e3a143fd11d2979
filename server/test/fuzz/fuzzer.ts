import { shrink } from "./shrink.ts";
import { FuzzThread, type Failure } from "./thread.ts";

export interface FuzzOptions {
  /** URL of the module that exports `targets`. */
  module: string;
  name: string;
  seed: number;
  runs: number;
  /** Longest time for one input. */
  hangMs: number;
  /** Longest time for making the input of a failure smaller. */
  shrinkMs: number;
  onProgress?: (runs: number) => void;
}

export interface FuzzResult {
  runs: number;
  seconds: number;
  /** The first failure, its input as small as could be made in the time. */
  failure: Failure | null;
}

const runsPerOrder = 2000;

/** Runs a target until it has had its runs or fails. */
export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const { runs, hangMs, onProgress } = options;
  await using thread = new FuzzThread(options, hangMs);
  const startedAt = performance.now();
  const seconds = (): number => (performance.now() - startedAt) / 1000;
  for (let done = 0; done < runs;) {
    const report = await thread.obey({ kind: "run", runs: Math.min(runsPerOrder, runs - done) });
    done += report.runs;
    if (report.failure !== null) {
      return { runs: done, seconds: seconds(), failure: await smallest(thread, report.failure, options.shrinkMs) };
    }
    onProgress?.(done);
  }
  return { runs, seconds: seconds(), failure: null };
}

/** Checks one input. */
export async function tryInput(
  options: Omit<FuzzOptions, "runs" | "shrinkMs">,
  input: Buffer,
): Promise<Failure | null> {
  await using thread = new FuzzThread(options, options.hangMs);
  return (await thread.obey({ kind: "try", input })).failure;
}

async function smallest(thread: FuzzThread, failure: Failure, shrinkMs: number): Promise<Failure> {
  const deadline = performance.now() + shrinkMs;
  let best = failure;
  const fails = async (input: Buffer): Promise<boolean> => {
    const found = (await thread.obey({ kind: "try", input })).failure;
    if (found !== null) best = found;
    return found !== null;
  };
  await shrink(Buffer.from(failure.input), fails, () => performance.now() > deadline);
  return best;
}

/** What to type to see the failure again, and the input as a person can read it. */
export function reproducerOf(name: string, input: Uint8Array): string {
  const bytes = Buffer.from(input);
  return [
    `  input: ${JSON.stringify(bytes.toString("latin1"))} (${bytes.length} octets, as Latin-1)`,
    `  again: npm run fuzz -- --target ${name} --input "${bytes.toString("base64")}"`,
  ].join("\n");
}
