import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { projectRoot } from "./project-files.ts";

const migrations = join(projectRoot, "server/src/store/sqlite/migrations");
const MiB = 1024 * 1024;
/** `catM`: says that a database is ours. */
const applicationId = 0x6361744d;
/** The schemas that keep what a mail has beyond 1 MiB in `raw_piece`; older ones keep all of it in one row. */
const firstWithPieces = 4;
const lastWithPieces = 6;
/** The first schema that keeps a mailbox's mails in tables of their own. */
const firstWithParts = 8;

/** The schema version of the program that is tested: as many as there are migrations. */
export function newestVersion(): number {
  return migrationFiles().length;
}

/**
 * A database as the program of that schema version (from 1 up) left it, with a mail for each size in octets, whose ids count from
 * 1, of user 1, those with an even id for `ann+even@mails.localhost`. Answers the hex SHA-256 of their raw bytes. What was in the directory is removed.
 */
export function makeOldDatabase(dataDir: string, version: number, sizes: readonly number[]): string[] {
  rmSync(dataDir, { recursive: true, force: true });
  mkdirSync(dataDir, { mode: 0o700 });
  using database = new DatabaseSync(join(dataDir, "catmails.db"));
  database.exec("PRAGMA journal_mode = WAL");
  for (const name of migrationFiles().slice(0, version)) database.exec(readFileSync(join(migrations, name), "utf8"));
  fillHouse(database, sizes.length);
  const hashes = sizes.map((size, index) => {
    const bytes = rawOf(index + 1, size);
    addMail(database, index + 1, bytes);
    if (version >= firstWithParts) listMail(database, index + 1);
    addRaw(database, { id: index + 1, bytes, version });
    return createHash("sha256").update(bytes).digest("hex");
  });
  database.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${version}`);
  return hashes;
}

function migrationFiles(): string[] {
  return readdirSync(migrations)
    .filter((name) => name.endsWith(".sql"))
    .sort();
}

function rawOf(id: number, size: number): Buffer {
  const line = `line of mail ${id}\r\n`;
  const text = `Subject: mail ${id}\r\n\r\n${line.repeat(Math.ceil(size / line.length))}`;
  return Buffer.from(text).subarray(0, size);
}

function fillHouse(database: DatabaseSync, mails: number): void {
  database.exec(`
    INSERT INTO user (id, last_mail_id, mail_count, used_bytes, created_at) VALUES (1, ${mails}, ${mails}, 0, 0);
    INSERT INTO domain (id, name, allows_temp, created_at) VALUES (1, 'mails.localhost', 0, 0);
    INSERT INTO alias (id, user_id, domain_id, address, is_main, created_at)
      VALUES (1, 1, 1, 'ann@mails.localhost', 1, 0)`);
}

function addMail(database: DatabaseSync, id: number, bytes: Buffer): void {
  database
    .prepare(
      "INSERT INTO message (id, subject, mail_from, envelope_from, content, defects) VALUES (?, ?, '', '', 'text', '[]')",
    )
    .run(id, `mail ${id}`);
  database
    .prepare(
      "INSERT INTO mail (user_id, id, mailbox_id, message_id, mail_to, received_at, size) VALUES (1, ?, 1, ?, ?, 0, ?)",
    )
    .run(id, id, id % 2 === 0 ? "ann+even@mails.localhost" : null, bytes.length);
}

function listMail(database: DatabaseSync, id: number): void {
  database.exec(`INSERT INTO mailbox_mail (user_id, mailbox_id, id) VALUES (1, 1, ${id})`);
  if (id % 2 === 0) database.exec(`INSERT INTO address_mail VALUES (1, 1, 'ann+even@mails.localhost', ${id})`);
}

function addRaw(database: DatabaseSync, { id, bytes, version }: { id: number; bytes: Buffer; version: number }): void {
  const hasPieces = version >= firstWithPieces && version <= lastWithPieces;
  const first = hasPieces ? bytes.subarray(0, MiB) : bytes;
  database.prepare("INSERT INTO raw (message_id, bytes) VALUES (?, ?)").run(id, first);
  for (let start = first.length; start < bytes.length; start += MiB) {
    database
      .prepare("INSERT INTO raw_piece (message_id, start, bytes) VALUES (?, ?, ?)")
      .run(id, start, bytes.subarray(start, start + MiB));
  }
}
