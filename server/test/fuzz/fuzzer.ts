import { shrink } from "./shrink.ts";
import type { Failure, FuzzThread } from "./thread.ts";

export interface FuzzOptions {
  name: string;
  seed: number;
  runs: number;
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
export async function fuzz(thread: FuzzThread, options: FuzzOptions): Promise<FuzzResult> {
  const { name, seed, runs, shrinkMs, onProgress } = options;
  const startedAt = performance.now();
  const seconds = (): number => (performance.now() - startedAt) / 1000;
  for (let done = 0; done < runs;) {
    const report = await thread.obey({ kind: "run", name, seed, runs: Math.min(runsPerOrder, runs - done) });
    done += report.runs;
    if (report.failure !== null) {
      const took = seconds();
      return { runs: done, seconds: took, failure: await smallest(thread, name, report.failure, shrinkMs) };
    }
    onProgress?.(done);
  }
  return { runs, seconds: seconds(), failure: null };
}

/** Checks one input. */
export async function tryInput(thread: FuzzThread, name: string, input: Uint8Array): Promise<Failure | null> {
  return (await thread.obey({ kind: "try", name, input })).failure;
}

async function smallest(thread: FuzzThread, name: string, failure: Failure, shrinkMs: number): Promise<Failure> {
  const deadline = performance.now() + shrinkMs;
  let best = failure;
  const fails = async (input: Buffer): Promise<boolean> => {
    const found = await tryInput(thread, name, input);
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
