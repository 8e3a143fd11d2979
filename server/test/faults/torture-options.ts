import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { allFaults } from "./kinds/all-faults.ts";
import type { Fault } from "./fault.ts";

export interface TortureOptions {
  /** The command that does the same again. */
  command: string;
  faults: readonly Fault[];
  cycles: number;
  seed: number;
  /** Directory on the disk to test. */
  dir: string | undefined;
  /** File for the table. */
  report: string | undefined;
}

/** What `--help` prints. */
export const usage = `npm run torture -- [options]

Breaks a server in every way that is known here, while 50 connections send it mail, and reads everything back.
Ends with 1 when a mail was lost, changed, made up, doubled or misrouted, and when a broken server was not noticed.

  --cycles N      kills under load (20); the other faults come in proportion
  --only FAULT    one fault only, or several with commas
  --seed N        the same sizes, recipients and moments again
  --dir DIR       where data is kept meanwhile: on the disk that is to be tested
  --report FILE   write the table there, as Markdown
  --help          this text

Faults:
${allFaults.map(({ name, about }) => `  ${name.padEnd(14)}  ${about}`).join("\n")}
`;

/** Thrown for an option that is unknown or makes no sense. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** Options of a command line; `null` when help was asked for. Throws {@link UsageError}. */
export function parseOptions(args: readonly string[]): TortureOptions | null {
  const values = parse(args);
  if (values.help === true) return null;
  const names = values.only?.split(",");
  const unknown = names?.find((name) => allFaults.every((fault) => fault.name !== name));
  if (unknown !== undefined) throw new UsageError(`--only takes ${allFaults.map(({ name }) => name).join(", ")}`);
  const cycles = count("cycles", values.cycles ?? "20");
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : count("seed", values.seed);
  const only = values.only === undefined ? "" : ` --only ${values.only}`;
  return {
    command: `npm run torture -- --cycles ${cycles}${only} --seed ${seed}`,
    faults: allFaults.filter(({ name }) => names === undefined || names.includes(name)),
    cycles,
    seed,
    dir: values.dir === undefined ? undefined : resolve(values.dir),
    report: values.report === undefined ? undefined : resolve(values.report),
  };
}

function parse(args: readonly string[]) {
  const text = { type: "string" } as const;
  try {
    const help = { type: "boolean", short: "h" } as const;
    const options = { cycles: text, only: text, seed: text, dir: text, report: text, help };
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : "unreadable options", { cause: error });
  }
}

function count(name: string, text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new UsageError(`--${name} takes a whole number from 1 on, not "${text}"`);
  return Number(text);
}
