import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { Failure } from "./failure.ts";
import { openSession, withStore, type StoreSession } from "./session.ts";
import { sizeText } from "./units.ts";

/** `catmails migrate`, `backup` and `restore`: the database as a whole. */
export function addBackupCommands(program: Command): void {
  program
    .command("migrate")
    .description("make the database, or bring it up to this program's schema; the server also does it when it starts")
    .addHelpText("after", "\nExample:\n  catmails migrate --data-dir /var/lib/catmails")
    .action((_options: unknown, command: Command) =>
      withStore(command, { create: true }, async ({ store, out }) => {
        const { engine, schemaVersion } = await store.check();
        await out.result({ engine, schema_version: schemaVersion }, `The database has schema ${schemaVersion}.\n`);
      }),
    );
  program
    .command("backup")
    .description("write a consistent copy of the database to a new file, while mail goes on coming in")
    .argument("<file>", "file that does not exist yet")
    .addHelpText("after", "\nExample:\n  catmails backup catmails-$(date +%F).db")
    .action((file: string, _options: unknown, command: Command) =>
      withStore(command, { create: false }, (session) => backup(session, file)),
    );
  program
    .command("restore")
    .description("put a backup in place of the database; the server must not be running")
    .argument("<file>", "file that backup wrote")
    .option("--replace", "also when there is a database already, which is lost")
    .addHelpText("after", "\nExample:\n  catmails restore catmails-2030-01-31.db --replace")
    .action(restore);
}

async function backup({ store, out }: StoreSession, file: string): Promise<void> {
  const target = resolve(file);
  if (existsSync(target)) throw new Failure("file_exists", `${file} exists already; a backup never overwrites.`);
  const startedMs = performance.now();
  await store.backup(target);
  const seconds = (performance.now() - startedMs) / 1000;
  const bytes = statSync(target).size;
  await out.result(
    { file: target, bytes, seconds: Number(seconds.toFixed(3)) },
    `Wrote ${file}: ${sizeText(bytes)} in ${seconds.toFixed(1)} s.\n`,
  );
}

async function restore(file: string, options: { replace?: true }, command: Command): Promise<void> {
  const { config, out } = openSession(command);
  const source = resolve(file);
  if (!existsSync(source)) throw new Failure("no_file", `There is no file ${file}.`);
  const [{ restoreSqlite }, { databaseName }] = await Promise.all([
    import("../store/sqlite/restore.ts"),
    import("../store/sqlite/sqlite-store.ts"),
  ]);
  if (options.replace !== true && existsSync(join(config.data_dir, databaseName))) {
    throw new Failure("database_exists", `There is a database in ${config.data_dir} already. --replace gives it up.`);
  }
  await restoreSqlite({ from: source, dataDir: config.data_dir, replace: options.replace === true });
  await out.result({ restored: source, data_dir: config.data_dir }, `Restored ${file} to ${config.data_dir}.\n`);
}
