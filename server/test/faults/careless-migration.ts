/**
 * A migration that breaks the promise: it runs statement by statement without a transaction, and notes the version at the
 * end. The harness must notice what a kill leaves of it. Run as a program with `CATMAILS_DATA_DIR`.
 */
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { projectRoot } from "../support/project-files.ts";

const migrations = join(projectRoot, "server/src/store/sqlite/migrations");
const applicationId = 0x6361744d;
const dataDir = process.env["CATMAILS_DATA_DIR"] ?? "";
mkdirSync(dataDir, { recursive: true });
using database = new DatabaseSync(join(dataDir, "catmails.db"));
const version = Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
const files = readdirSync(migrations)
  .filter((name) => name.endsWith(".sql"))
  .sort();
for (const name of files.slice(version)) database.exec(readFileSync(join(migrations, name), "utf8"));
database.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${files.length}`);
