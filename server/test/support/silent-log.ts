import { createLog, type Logger } from "../../src/log.ts";

/** Says nothing. */
export function silentLog(): Logger {
  return createLog({ level: "silent", format: "json", write: () => undefined });
}
