import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import type { Config } from "../config.ts";
import { systemCodeOf } from "../errors.ts";
import { createLog, type Logger } from "../log.ts";
import type { Contents } from "../mail/contents.ts";
import type { Store } from "../store/store.ts";
import { Failure } from "./failure.ts";
import { loadFromFlags, wantsJson } from "./flags.ts";
import { Output } from "./output.ts";

/** What every command works with. */
export interface Session {
  config: Config;
  out: Output;
  /** Warnings and worse, on standard error. */
  log: Logger;
}

/** A session of a command that works on the store, beside a running server or without one. */
export interface StoreSession extends Session {
  store: Store;
}

/** Loads the configuration for a command. Throws `ConfigError`. */
export function openSession(command: Command): Session {
  const { config } = loadFromFlags(command);
  return { config, out: new Output({ json: wantsJson(command) }), log: commandLog(config) };
}

/**
 * Runs a command's work on the store and closes it. Throws `no_data_directory` when there is no database, unless `create`.
 */
export async function withStore(
  command: Command,
  options: { create: boolean },
  work: (session: StoreSession) => Promise<void>,
): Promise<void> {
  const session = openSession(command);
  // Loaded only now, so that help and mistakes answer at once.
  const { databaseName, openSqliteStore } = await import("../store/sqlite/sqlite-store.ts");
  if (!options.create) requireDatabase(session.config.data_dir, databaseName);
  await using store = await openSqliteStore({ dataDir: session.config.data_dir, log: session.log });
  await work({ ...session, store });
}

/** Stored mails with their content; ends with `parts`, before the store. */
export async function openContents(store: Store, parts: AsyncDisposableStack): Promise<Contents> {
  const [{ Contents: Reading }, { MailParser }] = await Promise.all([
    import("../mail/contents.ts"),
    import("../mime/mime.ts"),
  ]);
  return parts.use(new Reading({ store, parser: parts.use(new MailParser({})) }));
}

function requireDatabase(dataDir: string, name: string): void {
  try {
    statSync(join(dataDir, name));
    return;
  } catch (error) {
    if (systemCodeOf(error) === "EACCES") {
      throw new Failure("no_access", `This user may not read ${dataDir}: run it as the user that the server runs as.`);
    }
  }
  const fault = existsSync(dataDir) ? `There is no database in ${dataDir}.` : `No data directory at ${dataDir}.`;
  throw new Failure(
    "no_data_directory",
    `${fault} Start the server once (catmails serve), or name another with --data-dir.`,
  );
}

function commandLog(config: Config): Logger {
  const quiet = config.log_level === "error" || config.log_level === "silent";
  return createLog({
    level: quiet ? config.log_level : "warn",
    format: config.log_format === "json" ? "json" : "pretty",
    write: (line) => process.stderr.write(line),
  });
}
