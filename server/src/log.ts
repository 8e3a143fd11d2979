import { createRequire } from "node:module";
import { pino, type Logger } from "pino";

export type { Logger } from "pino";

/** What a log line shows in place of a key. */
const redactedKey = "mk_[redacted]";

/** Replaces everything that looks like an API key, whole or cut short. Used on each line that leaves the process. */
export function redactKeys(text: string): string {
  // Looked for at once: hardly any line goes on to the pattern.
  return text.includes("mk") ? text.replace(/mk(?:_|%5[fF])[A-Za-z0-9_%-]+/g, redactedKey) : text;
}

export interface LogOptions {
  level: "trace" | "debug" | "info" | "warn" | "error" | "silent";
  /** `json`: one object a line. `pretty`: for people. */
  format: "json" | "pretty";
  /** Where lines go, one call a line. */
  write(line: string): void;
}

/**
 * A logger whose every line has API keys redacted, wherever in the line they stand (messages, URLs, stacks).
 * Mail bodies are never logged by anybody who calls it.
 */
export function createLog(options: LogOptions): Logger {
  const pretty = options.format === "pretty" ? prettyLines() : null;
  const write = (line: string): void => {
    const clean = redactKeys(line);
    options.write(pretty === null ? clean : (pretty(clean) ?? clean));
  };
  return pino({ level: options.level, base: null }, { write });
}

function prettyLines(): (line: string) => string | undefined {
  // Loaded only for people: programs that read JSON should not wait for it.
  const { prettyFactory } = createRequire(import.meta.url)("pino-pretty") as typeof import("pino-pretty");
  return prettyFactory({ colorize: false, ignore: "pid,hostname", translateTime: "SYS:HH:MM:ss.l" });
}
