import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { UsageError } from "../options.ts";

export interface PeersOptions {
  /** Names of the peers that are measured beside us. */
  only: ReadonlySet<string>;
  workloads: ReadonlySet<string>;
  rounds: number;
  seconds: number;
  peersDir: string;
  /** Where data is kept while a run lasts; `null`: a directory on a real disk is looked for. */
  dir: string | null;
  /** Results that a report is made of; `null`: everything is measured now. */
  from: readonly string[] | null;
  /** Where the report goes; `null`: no report is written. */
  reportDir: string | null;
  /** As it would be typed, without the paths of one machine. */
  command: string;
}

/** What may be named. */
export interface Names {
  peers: readonly string[];
  workloads: readonly string[];
}

/** Help for the command line. */
export function usageOf({ peers, workloads }: Names): string {
  return `npm run bench:peers -- [options]

Measures us and every peer that this machine has or can get, in turns: docs/benchmarks.md says what and how.

  --only NAME,…        these peers and ourselves; all of
                       ${wrapped(peers)}
  --workloads NAME,…   these loads only; audit counts syncs and compares what is stored; all of
                       ${wrapped(workloads)}
  --rounds N           times that each is measured, in turns (3)
  --seconds N          length of one measurement (3)
  --peers-dir DIR      where peers of the npm registry are installed (below the user's cache)
  --dir DIR            where data is kept meanwhile: on the disk that is to be measured
  --report DIR         write benchmarks.md and its charts there, such as docs
  --from FILE,…        measure nothing: join these results of bench/results

Mailpit, Inbucket, MailHog and smtp4dev are measured when they are on PATH or named by MAILPIT, INBUCKET, MAILHOG and
SMTP4DEV; Postfix and smtp-sink when Debian's package postfix is installed; syncs are counted when strace is.
`;
}

/** Options of a command line; `null` when help was asked for. Throws {@link UsageError}. */
export function parsePeersOptions(args: readonly string[], names: Names): PeersOptions | null {
  const values = parse(args);
  if (values.help === true) return null;
  return {
    only: chosen("only", values.only, names.peers),
    workloads: chosen("workloads", values.workloads, names.workloads),
    rounds: count("rounds", values.rounds ?? "3"),
    seconds: duration(values.seconds ?? "3"),
    peersDir: resolve(values["peers-dir"] ?? join(cacheDir(), "catmails-peers")),
    dir: values.dir === undefined ? null : resolve(values.dir),
    from: values.from === undefined ? null : values.from.split(",").map((path) => resolve(path)),
    reportDir: values.report === undefined ? null : resolve(values.report),
    command: commandOf(values),
  };
}

function parse(args: readonly string[]) {
  const text = { type: "string" } as const;
  const options = {
    only: text,
    workloads: text,
    rounds: text,
    seconds: text,
    "peers-dir": text,
    dir: text,
    report: text,
    from: text,
    help: { type: "boolean", short: "h" },
  } as const;
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : "unreadable options", { cause: error });
  }
}

function commandOf(values: Readonly<Record<string, string | boolean | undefined>>): string {
  const paths = new Set(["peers-dir", "dir", "from"]);
  const said = Object.entries(values).map(([name, value]) => `--${name} ${paths.has(name) ? "…" : String(value)}`);
  return ["npm run bench:peers", ...(said.length === 0 ? [] : ["--", ...said])].join(" ");
}

function chosen(option: string, text: string | undefined, names: readonly string[]): ReadonlySet<string> {
  if (text === undefined) return new Set(names);
  const wanted = text.split(",");
  const unknown = wanted.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new UsageError(`--${option}: "${unknown}" is none of ${names.join(", ")}`);
  return new Set(wanted);
}

function count(name: string, text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text))
    throw new UsageError(`--${name} takes a whole number from 1 to 9999, not "${text}"`);
  return Number(text);
}

function duration(text: string): number {
  if (!/^\d{1,3}(?:\.\d)?$/.test(text) || Number(text) === 0) {
    throw new UsageError(`--seconds takes a number from 0.1 on, not "${text}"`);
  }
  return Number(text);
}

function cacheDir(): string {
  return process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
}

function wrapped(names: readonly string[]): string {
  const half = Math.ceil(names.length / 2);
  return [names.slice(0, half), names.slice(half)].map((some) => some.join(", ")).join(",\n                       ");
}
