import { resolve } from "node:path";
import { parseArgs } from "node:util";

/** The parts of a run, in the order in which they are measured. */
export const parts = ["intake", "push", "list"] as const;
export type Part = (typeof parts)[number];

export interface Options {
  parts: readonly Part[];
  /** Length of one measurement. */
  seconds: number;
  /** Times that everything is measured, in turns; reports hold the medians. */
  rounds: number;
  /** Mails in the big store of the part `list`. */
  mails: number;
  /** Where data is kept while a run lasts; `null`: a directory on a real disk is looked for. */
  dir: string | null;
  /** An empty or new directory for the server's CPU profiles; `null`: it is not profiled. */
  profileDir: string | null;
}

export const usage = `npm run bench -- [options]

  --only intake|push|list   one part only
  --seconds N               length of one measurement (5)
  --rounds N                times that each is measured, in turns (3)
  --mails N                 mails in the big store of part list (1000000)
  --dir DIR                 where data is kept meanwhile: on the disk that is to be measured
  --profile DIR             write CPU profiles of the server there and say what they show
`;

/** Thrown for an option that is unknown or makes no sense. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** Options of a command line; `null` when help was asked for. Throws {@link UsageError}. */
export function parseOptions(args: readonly string[]): Options | null {
  const values = parse(args);
  if (values.help === true) return null;
  const only = parts.filter((part) => values.only === undefined || part === values.only);
  if (only.length === 0) throw new UsageError(`--only takes one of ${parts.join(", ")}`);
  return {
    parts: only,
    seconds: count("seconds", values.seconds ?? "5"),
    rounds: count("rounds", values.rounds ?? "3"),
    mails: count("mails", values.mails ?? "1000000"),
    dir: values.dir === undefined ? null : resolve(values.dir),
    profileDir: values.profile === undefined ? null : resolve(values.profile),
  };
}

function parse(args: readonly string[]) {
  const text = { type: "string" } as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        only: text,
        seconds: text,
        rounds: text,
        mails: text,
        dir: text,
        profile: text,
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : "unreadable options", { cause: error });
  }
}

function count(name: string, text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`--${name} takes a whole number from 1 on, not "${text}"`);
  return Number(text);
}
