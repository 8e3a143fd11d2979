import { createLog } from "../server/src/log.ts";
import { addUser, setUp } from "../server/src/mail/setup.ts";
import { openSqliteStore } from "../server/src/store/sqlite/sqlite-store.ts";
import type { NewMail, NewMailRecipient, Store } from "../server/src/store/store.ts";

const domain = "mails.localhost";
const mainAddress = `demo@${domain}`;
const scatteredAddress = `scattered@${domain}`;
/** Mails handed to the store together, and how many such lots may be on their way. */
const lotMails = 1000;
const lotsInFlight = 5;
const content = "Your code is 482913. ".padEnd(200, "It is good for ten minutes and for nobody else. ");

export interface FillOptions {
  dataDir: string;
  /** API key of the main user. */
  key: string;
  /** Mails of the main mailbox. */
  mails: number;
  /** Mails of another user, spread evenly between those of the main mailbox; 0: no such user. */
  scatteredMails: number;
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

/** Makes a data directory with so many equal mails, through the store's own way in, as fast as it takes them. */
export async function fillStore(options: FillOptions): Promise<FilledStore> {
  const log = createLog({ level: "warn", format: "json", write: (line) => process.stderr.write(line) });
  await using store = await openSqliteStore({ dataDir: options.dataDir, log });
  await setUp(store, {
    domain,
    tempDomain: `temp.${domain}`,
    bootstrapMail: mainAddress,
    bootstrapKey: options.key,
  });
  const main = await recipientOf(store, mainAddress);
  const scattered =
    options.scatteredMails === 0 ? null : await addUser(store, { address: scatteredAddress, nowMs: Date.now() });
  const other = scattered === null ? null : await recipientOf(store, scatteredAddress);
  const startMs = performance.now();
  await storeMails(store, options, { main, other });
  return {
    dataDir: options.dataDir,
    mails: options.mails,
    address: mainAddress,
    key: options.key,
    scattered: scattered === null ? null : { address: scatteredAddress, key: scattered.key },
    seconds: (performance.now() - startMs) / 1000,
  };
}

async function storeMails(
  store: Store,
  { mails, scatteredMails }: FillOptions,
  { main, other }: { main: NewMailRecipient; other: NewMailRecipient | null },
): Promise<void> {
  const everyMails = Math.ceil(mails / Math.max(1, scatteredMails));
  const lots: Promise<unknown>[] = [];
  for (let done = 0; done < mails; done += lotMails) {
    const lot: Promise<unknown>[] = [];
    for (let number = done; number < Math.min(mails, done + lotMails); number++) {
      lot.push(store.commit(mailOf(main, number)));
      if (other !== null && number % everyMails === 0) lot.push(store.commit(mailOf(other, number)));
    }
    lots.push(Promise.all(lot));
    if (lots.length > lotsInFlight) await lots.shift();
  }
  await Promise.all(lots);
}

async function recipientOf(store: Store, address: string): Promise<NewMailRecipient> {
  const mailbox = await store.findMailbox(address, Date.now());
  if (mailbox === null) throw new Error(`No mailbox ${address}`);
  return { userId: mailbox.userId, mailboxId: mailbox.id, mailTo: address };
}

function mailOf(recipient: NewMailRecipient, number: number): NewMail {
  const subject = `Login code ${number}`;
  const text = `From: GitHub <github@example.com>\r\nTo: ${recipient.mailTo}\r\nSubject: ${subject}\r\n\r\n${content}\r\n`;
  const raw = new Uint8Array(text.length);
  new TextEncoder().encodeInto(text, raw);
  return {
    raw,
    envelopeFrom: "bounce@example.com",
    mailFrom: "github@example.com",
    subject,
    content,
    receivedAtMs: Date.now(),
    defects: [],
    origin: null,
    recipients: [recipient],
  };
}
