import { closeSync, fsyncSync, openSync } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createLog } from "../server/src/log.ts";
import { addUser, setUp } from "../server/src/mail/setup.ts";
import { summarizeMail } from "../server/src/mime/mime.ts";
import { Connection } from "../server/src/store/sqlite/connection.ts";
import { insertMails } from "../server/src/store/sqlite/mail-changes.ts";
import { databaseName, openSqliteStore } from "../server/src/store/sqlite/sqlite-store.ts";
import type { NewMail, NewMailRecipient, Store } from "../server/src/store/store.ts";
import { SampleMails } from "./sample-mail.ts";

const domain = "mails.localhost";
const mainAddress = `demo@${domain}`;
const scatteredAddress = `scattered@${domain}`;
const mailBytes = 1024;
const token = "filled";
/** Mails handed to the engine together, and lots of one transaction. */
const lotMails = 1_000;
const lotsPerTransaction = 50;
/** Says in a data directory what was filled in, once all of it is there. */
const noteName = "filled.json";
/** Mails of a kept store must not come near the age at which the server deletes them. */
const maxKeptMs = 20 * 86_400_000;

export interface FillOptions {
  dataDir: string;
  /** API key of the main user. */
  key: string;
  /** Mails of the main mailbox, 1 KB each. */
  mails: number;
  /** Mails of another user, spread evenly between those of the main mailbox; 0: no such user. */
  scatteredMails: number;
  /** How long ago they all came; default 0. */
  ageMs?: number;
}

export interface FilledStore {
  dataDir: string;
  mails: number;
  address: string;
  key: string;
  scattered: { address: string; key: string } | null;
  /** How long it took to store them. */
  seconds: number;
}

/**
 * Makes a data directory with so many mails, or takes one that was made before with the same mails (its key is the older
 * one). The engine itself inserts them, but without its thread and its syncs: only at the end everything is synced.
 */
export async function fillStore(options: FillOptions): Promise<FilledStore> {
  const kept = await keptStore(options);
  if (kept !== null) return { ...kept, dataDir: options.dataDir, seconds: 0 };
  const startMs = performance.now();
  const { main, other, scattered } = await makeUsers(options);
  using connection = new Connection(join(options.dataDir, databaseName), { readOnly: false });
  // The log would write every page twice. Whoever opens the store next turns it on again.
  connection.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -131072");
  insertAll(connection, options, { main, other });
  connection[Symbol.dispose]();
  syncFile(join(options.dataDir, databaseName));
  const filled = { mails: options.mails, address: mainAddress, key: options.key, scattered };
  await writeFile(join(options.dataDir, noteName), JSON.stringify(filled));
  return { ...filled, dataDir: options.dataDir, seconds: (performance.now() - startMs) / 1000 };
}

async function keptStore({
  dataDir,
  mails,
  scatteredMails,
}: FillOptions): Promise<Omit<FilledStore, "dataDir"> | null> {
  const path = join(dataDir, noteName);
  const made = await stat(path).catch(() => null);
  if (made === null) return null;
  const filled = JSON.parse(await readFile(path, "utf8")) as Omit<FilledStore, "dataDir">;
  const fits = filled.mails === mails && (filled.scattered !== null) === scatteredMails > 0;
  if (fits && Date.now() - made.mtimeMs < maxKeptMs) return filled;
  throw new Error(`The store in ${dataDir} holds other or too old mails: remove it, or keep stores elsewhere`);
}

interface Recipients {
  main: NewMailRecipient;
  other: NewMailRecipient | null;
}

async function makeUsers(options: FillOptions): Promise<Recipients & { scattered: FilledStore["scattered"] }> {
  const log = createLog({ level: "warn", format: "json", write: (line) => process.stderr.write(line) });
  await using store = await openSqliteStore({ dataDir: options.dataDir, log });
  await setUp(store, {
    domain,
    tempDomain: `temp.${domain}`,
    bootstrapMail: mainAddress,
    bootstrapKey: options.key,
  });
  const main = await recipientOf(store, mainAddress);
  if (options.scatteredMails === 0) return { main, other: null, scattered: null };
  const { key } = await addUser(store, { address: scatteredAddress, nowMs: Date.now() });
  const other = await recipientOf(store, scatteredAddress);
  return { main, other, scattered: { address: scatteredAddress, key } };
}

function insertAll(connection: Connection, options: FillOptions, { main, other }: Recipients): void {
  const { mails, scatteredMails, ageMs = 0 } = options;
  const everyMails = Math.ceil(mails / Math.max(1, scatteredMails));
  const source = new FilledMails(Date.now() - ageMs);
  for (let done = 0, lots = 0; done < mails; lots++) {
    if (lots % lotsPerTransaction === 0) connection.exec("BEGIN");
    const lot: { mail: NewMail }[] = [];
    for (const end = Math.min(mails, done + lotMails); done < end; done++) {
      lot.push({ mail: source.mail(main, done) });
      if (other !== null && done % everyMails === 0) lot.push({ mail: source.mail(other, done) });
    }
    insertMails(connection, lot);
    if (lots % lotsPerTransaction === lotsPerTransaction - 1 || done === mails) connection.exec("COMMIT");
  }
}

async function recipientOf(store: Store, address: string): Promise<NewMailRecipient> {
  const mailbox = await store.findMailbox(address, Date.now());
  if (mailbox === null) throw new Error(`No mailbox ${address}`);
  return { userId: mailbox.userId, mailboxId: mailbox.id, mailTo: address };
}

/** What the server would have made of sample mails: of all the same but for a number of always as many digits. */
class FilledMails {
  readonly #samples = new SampleMails(mailBytes, token);
  readonly #first = summarizeMail(this.#samples.bytesOf(0));
  readonly #receivedAtMs: number;

  constructor(receivedAtMs: number) {
    this.#receivedAtMs = receivedAtMs;
  }

  mail(recipient: NewMailRecipient, number: number): NewMail {
    return {
      raw: new Uint8Array(this.#samples.bytesOf(number)),
      envelopeFrom: "bench@example.com",
      mailFrom: this.#first.from,
      subject: this.#samples.subjectOf(number),
      content: this.#first.content,
      contentAt: this.#first.contentAt,
      receivedAtMs: this.#receivedAtMs,
      defects: this.#first.defects,
      origin: null,
      recipients: [recipient],
    };
  }
}

/** What the kernel still has to write would be felt by whatever is measured next. */
function syncFile(path: string): void {
  const file = openSync(path, "r+");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
