import { parseAddress, type Address } from "../address.ts";
import type { ErrorName } from "../errors.ts";
import type { Envelope, Origin } from "../origin.ts";
import type { IngestAccess } from "./access.ts";
import type { Receiver, ReceiverRecipient, RecipientVerdict } from "./receive.ts";

/** What is asked of {@link Receiver}. */
export type IngestReceiver = Pick<Receiver, "checkRecipient" | "receive">;

/** One mail as somebody hands it in. */
export interface HandedMail {
  /** Whom it may reach; `null`: every mailbox of the server. */
  access: Pick<IngestAccess, "userId" | "reach" | "mailboxIds"> | null;
  /** Canonical envelope sender, "" for the null reverse-path. */
  from: string;
  /** At least one; as they were given, not parsed yet. */
  to: readonly string[];
  /** Spans its whole ArrayBuffer, and is given away. */
  raw: Buffer<ArrayBuffer>;
  origin: Origin;
}

/** What became of one recipient. */
export interface RecipientOutcome {
  /** Canonical, or as it was given where it is no address. */
  address: string;
  /** `null`: stored. */
  refusal: RecipientRefusal | null;
}

/** Entries of the error table that a recipient may be refused with. Only `mailbox_full` and `no_room` are worth another try. */
export type RecipientRefusal = Extract<
  ErrorName,
  | "unknown_mailbox"
  | "foreign_domain"
  | "sender_blocked"
  | "mail_never_fits"
  | "mail_looping"
  | "mailbox_full"
  | "no_room"
>;

export interface IngestResult {
  /** Names the stored mail in the log; `null` when nothing was stored. */
  receipt: string | null;
  /** One for each given recipient, in their order. */
  outcomes: readonly RecipientOutcome[];
}

/**
 * Takes a mail that was handed in with its envelope. Recipients that are refused are left out and named; a receipt means
 * that the mail is synced for all others. A mailbox outside the access looks like one that does not exist. Rejects only
 * for a fault of ours, and then nothing was acknowledged.
 */
export async function takeHandedMail(receiver: IngestReceiver, mail: HandedMail): Promise<IngestResult> {
  const envelope: Envelope = { from: mail.from, sizeBytes: mail.raw.byteLength, origin: mail.origin };
  const accepted = new Map<string, ReceiverRecipient>();
  const outcomes: RecipientOutcome[] = [];
  for (const text of mail.to) {
    const address = parseAddress(text);
    const verdict = address === null ? null : await checkRecipient(receiver, mail, { address, envelope });
    if (verdict?.kind === "accepted") accepted.set(verdict.recipient.key, verdict.recipient);
    outcomes.push({ address: address?.text ?? text, refusal: refusalOf(verdict) });
  }
  if (accepted.size === 0) return { receipt: null, outcomes };
  const result = await receiver.receive({ envelope, recipients: [...accepted.values()], raw: mail.raw });
  if (result.kind === "stored") return { receipt: result.receipt, outcomes };
  const refusal = finalRefusals[result.kind];
  return { receipt: null, outcomes: outcomes.map((outcome) => ({ ...outcome, refusal: outcome.refusal ?? refusal })) };
}

async function checkRecipient(
  receiver: IngestReceiver,
  { access }: HandedMail,
  recipient: { address: Address; envelope: Envelope },
): Promise<RecipientVerdict> {
  const verdict = await receiver.checkRecipient(recipient.address, recipient.envelope);
  const isKnown = verdict.kind === "accepted" || verdict.kind === "over_quota";
  // A full mailbox of somebody else must not be told from one that is not there.
  return isKnown && !isWithin(access, verdict.recipient) ? { kind: "unknown_mailbox" } : verdict;
}

function isWithin(access: HandedMail["access"], { userId, mailboxId }: ReceiverRecipient): boolean {
  if (access === null) return true;
  if (access.reach === "own" && access.userId !== userId) return false;
  return access.mailboxIds === null || access.mailboxIds.includes(mailboxId);
}

/** For everybody, at the end. A post is not judged by DMARC, whose work its provider has done. */
const finalRefusals = {
  gone: "unknown_mailbox",
  looping: "mail_looping",
  dmarc: "sender_blocked",
  no_room: "no_room",
} as const;

function refusalOf(verdict: RecipientVerdict | null): RecipientRefusal | null {
  switch (verdict?.kind) {
    case "accepted":
      return null;
    case "over_quota":
      return verdict.neverFits ? "mail_never_fits" : "mailbox_full";
    case "blocked":
    // Whoever posts is neither looked up nor put off.
    case "listed":
    case "greylisted":
      return "sender_blocked";
    case "foreign_domain":
      return "foreign_domain";
    case "unknown_mailbox":
    case undefined:
      return "unknown_mailbox";
  }
}
