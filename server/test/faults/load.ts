import type { Ledger } from "./ledger.ts";
import { makeMail, makeToken, stuffDots } from "./mail-factory.ts";
import type { Random } from "../support/random.ts";
import { LinkLost, SmtpLink } from "./smtp-link.ts";

export interface LoadOptions {
  port: number;
  connections: number;
  /** Where mails may go, and what must be refused. */
  addresses: readonly string[];
  unknownAddress: string;
  ledger: Ledger;
  random: Random;
  /** Ends the load: every sender stops after the mail it is at. */
  signal: AbortSignal;
}

/**
 * Senders that do what senders do, good and bad, until the server is gone or the signal comes: mails to one and several,
 * kept connections and new ones, unknown recipients, broken line ends, mails that break off in the middle.
 */
export async function runLoad(options: LoadOptions): Promise<void> {
  await Promise.all(Array.from({ length: options.connections }, () => runSender(options)));
}

async function runSender(options: LoadOptions): Promise<void> {
  const { port, random, signal } = options;
  while (!signal.aborted) {
    try {
      using link = await SmtpLink.open(port);
      const mails = random.integer(1, 60);
      for (let sent = 0; sent < mails && !signal.aborted; sent++) await sendOne(link, options);
    } catch (error) {
      if (!(error instanceof LinkLost)) throw error;
      if (!(await isListening(port))) return;
    }
  }
}

async function sendOne(link: SmtpLink, { ledger, random, addresses, unknownAddress }: LoadOptions): Promise<void> {
  const token = makeToken();
  const raw = makeMail(random, token, random.chance(0.1) ? random.integer(50_000, 300_000) : random.integer(200, 8000));
  const mail = {
    envelopeFrom: "sender@example.org",
    recipients: random.some(addresses, random.chance(0.2) ? 4 : 1),
    wire: stuffDots(raw),
    onFinalDot: (accepted: readonly string[]) => ledger.dot(token, accepted),
  };
  ledger.begin(token, raw);
  const dice = random.fraction();
  if (dice < 0.02) {
    await link.abandon(mail);
    throw new LinkLost("broken off on purpose");
  }
  if (dice < 0.04) mail.recipients = [unknownAddress];
  else if (dice < 0.05) mail.recipients.push(unknownAddress);
  // A bare LF: refused, and the server ends the connection.
  else if (dice < 0.06) mail.wire = Buffer.concat([mail.wire, Buffer.from("bare\n.\nlines\r\n")]);
  ledger.answer(token, await link.deliver(mail));
}

async function isListening(port: number): Promise<boolean> {
  try {
    (await SmtpLink.open(port))[Symbol.dispose]();
    return true;
  } catch {
    return false;
  }
}
