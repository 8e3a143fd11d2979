import type { Random } from "../support/random.ts";
import type { Findings } from "./findings.ts";

/** What a fault is inflicted with. */
export interface Trial {
  random: Random;
  /** How often; `Infinity`: wherever it can be. */
  times: number;
  /** Directory on the disk to test; without it one is looked for. */
  parent: string | undefined;
  /** Aborted: finish the one in hand, judge what there is, and come back. */
  signal: AbortSignal;
  /** One line of progress. */
  say(line: string): void;
}

/** One kind of fault, and the proof that it would be noticed if the server did not stand it. */
export interface Fault {
  /** As `--only` takes it. */
  name: string;
  /** What happens, in a few words for the report. */
  about: string;
  /** Why it cannot happen on this machine; `null` when it can. */
  obstacle(): string | null;
  /** How often in a run of so many cycles. */
  times(cycles: number): number;
  inflict(trial: Trial): Promise<Findings>;
  /** The same with something broken on purpose: what it finds must not be without a fault. */
  control: { about: string; inflict(trial: Trial): Promise<Findings> };
}
