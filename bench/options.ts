import { resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Pace } from "./measurement.ts";

/** The parts of a run, in the order in which they are measured. */
export const parts = ["intake", "push", "reading", "sockets", "retention", "start"] as const;
export type Part = (typeof parts)[number];

export type Mode = "quick" | "full" | "smoke";

export interface Options extends Pace {
  mode: Mode;
  /** Load on each server before anything is measured on it: it takes seconds until its code is compiled well. */
  startUpSeconds: number;
  parts: readonly Part[];
  /** Mails in the stores that are read from, smallest first. */
  storeSizes: readonly number[];
  /** Idle WebSockets. */
  sockets: number;
  /** Where data is kept while a run lasts; `null`: a directory on a real disk is looked for. */
  dir: string | null;
  /** Where filled stores stay for the next run; `null`: they go with the run. */
  keepDir: string | null;
  /** An empty or new directory for the server's CPU profiles; `null`: it is not profiled. */
  profileDir: string | null;
}

const times: Readonly<Record<Mode, Pace & { startUpSeconds: number }>> = {
  quick: { seconds: 1.5, rounds: 3, startUpSeconds: 5, warmUpSeconds: 0.5 },
  full: { seconds: 5, rounds: 3, startUpSeconds: 8, warmUpSeconds: 2 },
  smoke: { seconds: 0.1, rounds: 1, startUpSeconds: 0, warmUpSeconds: 0 },
};

const sizes: Readonly<Record<Mode, Pick<Options, "storeSizes" | "sockets">>> = {
  quick: { storeSizes: [10_000, 1_000_000], sockets: 10_000 },
  full: { storeSizes: [10_000, 1_000_000, 10_000_000], sockets: 10_000 },
  smoke: { storeSizes: [100], sockets: 20 },
};

export const usage = `npm run bench -- [options]

  --full            every workload, 10 million stored mails; without it what the targets need, in less than 3 minutes
  --smoke           a moment of everything, to see that the bench works; its figures mean nothing
  --only PART,...   some parts only: ${parts.join(", ")}
  --seconds N       length of one measurement (1.5; full: 5)
  --rounds N        times that each is measured, in turns (3)
  --mails N         mails in the biggest store (1000000; full: 10000000)
  --dir DIR         where data is kept meanwhile: on the disk that is to be measured
  --keep DIR        keep filled stores there, and use those that are there
  --profile DIR     write CPU profiles of the server there and say what they show
`;

/** Thrown for an option that is unknown or makes no sense. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** Options of a command line; `null` when help was asked for. Throws {@link UsageError}. */
export function parseOptions(args: readonly string[]): Options | null {
  const values = parse(args);
  if (values.help === true) return null;
  const mode: Mode = values.smoke === true ? "smoke" : values.full === true ? "full" : "quick";
  const { storeSizes, sockets } = sizes[mode];
  const mails = values.mails === undefined ? Math.max(...storeSizes) : count("mails", values.mails);
  return {
    mode,
    parts: partsOf(values.only),
    ...times[mode],
    sockets,
    ...(values.seconds === undefined ? {} : { seconds: duration("seconds", values.seconds) }),
    ...(values.rounds === undefined ? {} : { rounds: count("rounds", values.rounds) }),
    storeSizes: [...storeSizes.filter((size) => size < mails), mails],
    dir: values.dir === undefined ? null : resolve(values.dir),
    keepDir: values.keep === undefined ? null : resolve(values.keep),
    profileDir: values.profile === undefined ? null : resolve(values.profile),
  };
}

function parse(args: readonly string[]) {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        full: flag,
        smoke: flag,
        only: text,
        seconds: text,
        rounds: text,
        mails: text,
        dir: text,
        keep: text,
        profile: text,
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : "unreadable options", { cause: error });
  }
}

function partsOf(only: string | undefined): readonly Part[] {
  if (only === undefined) return parts;
  const wanted = only.split(",");
  const unknown = wanted.find((name) => !parts.some((part) => part === name));
  if (unknown !== undefined) throw new UsageError(`--only takes some of ${parts.join(", ")}, not "${unknown}"`);
  return parts.filter((part) => wanted.includes(part));
}

function count(name: string, text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`--${name} takes a whole number from 1 on, not "${text}"`);
  return Number(text);
}

function duration(name: string, text: string): number {
  if (!/^\d{1,4}(?:\.\d+)?$/.test(text) || Number(text) === 0) {
    throw new UsageError(`--${name} takes a number above 0, not "${text}"`);
  }
  return Number(text);
}
