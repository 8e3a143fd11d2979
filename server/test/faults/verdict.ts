import type { Attempt, LedgerEntry } from "./ledger.ts";

/** One mail as a reader found it in one mailbox. */
export interface FoundMail {
  token: string;
  sha256: string;
  /** Envelope recipient. */
  mailTo: string;
  /** Address of the user in whose feed it was found. */
  owner: string;
  id: number;
}

/** A mail as it was pushed to a subscriber. */
export interface PushedMail {
  owner: string;
  id: number;
  token: string;
}

/** Tokens of mails by what went wrong with them. A list of a mail and its recipient has `token address`. */
export interface Verdict {
  /** Acknowledged, not there; of two that were acknowledged, only one there. */
  lost: string[];
  /** There, with other bytes. */
  corrupt: string[];
  /** There, though refused, never finished, or never sent. */
  phantom: string[];
  /** There more often than it was handed over without a refusal. */
  duplicate: string[];
  /** There for somebody it was not for. */
  misrouted: string[];
  /** Not acknowledged, and there for some of its recipients only. */
  torn: string[];
  /** There and not pushed, or pushed twice, out of order, or as another mail than it is. A list of `owner id`. */
  missed: string[];
}

/** A verdict with nothing to say. */
export const faultless: Verdict = {
  lost: [],
  corrupt: [],
  phantom: [],
  duplicate: [],
  misrouted: [],
  torn: [],
  missed: [],
};

export interface Judgement {
  verdict: Verdict;
  /**
   * No fault: `token address` of each further copy of a mail that was sent again because no reply to an earlier try was
   * seen. SMTP cannot keep it from happening (RFC 1047); a server may hide it.
   */
  repeated: string[];
}

/** What is judged. */
export interface Evidence {
  ledger: ReadonlyMap<string, LedgerEntry>;
  found: readonly FoundMail[];
  /** Whose each recipient address is. */
  owners: ReadonlyMap<string, string>;
  /** All that subscribers were pushed who in the end had caught up, in order; `null`: nobody subscribed. */
  pushed: readonly PushedMail[] | null;
}

/** Holds what senders know against what readers found and subscribers were pushed. */
export function judge({ ledger, found, owners, pushed }: Evidence): Judgement {
  const verdict: Verdict = structuredClone(faultless);
  const copies = new Map<string, number>();
  for (const mail of found) {
    const place = `${mail.token} ${mail.mailTo}`;
    const entry = ledger.get(mail.token);
    const tries = triesOf(entry);
    if (entry === undefined || tries.length === 0) verdict.phantom.push(mail.token);
    else if (countFor(tries, mail.mailTo) === 0 || owners.get(mail.mailTo) !== mail.owner)
      verdict.misrouted.push(place);
    else {
      if (entry.sha256 !== mail.sha256) verdict.corrupt.push(mail.token);
      copies.set(place, (copies.get(place) ?? 0) + 1);
    }
  }
  const repeated: string[] = [];
  for (const entry of ledger.values()) judgeCopies(entry, copies, { verdict, repeated });
  if (pushed !== null) verdict.missed.push(...missedPushes(pushed, found));
  return { verdict, repeated };
}

/** Tries that may have left a copy behind. */
function triesOf(entry: LedgerEntry | undefined): Attempt[] {
  return entry?.attempts.filter(({ state }) => state === "acknowledged" || state === "unknown") ?? [];
}

function countFor(tries: readonly Attempt[], recipient: string): number {
  return tries.filter(({ recipients }) => recipients.includes(recipient)).length;
}

/**
 * Each acknowledgement is a copy that has to be there, and each try without a reply may be one more. So two identical
 * mails that were both acknowledged are both kept, and a second copy is a fault unless somebody had to send it again.
 */
function judgeCopies(entry: LedgerEntry, copies: ReadonlyMap<string, number>, { verdict, repeated }: Judgement): void {
  const tries = triesOf(entry);
  const acknowledged = tries.filter(({ state }) => state === "acknowledged");
  const surplus = new Set<number>();
  let isWhole = true;
  for (const recipient of new Set(tries.flatMap(({ recipients }) => recipients))) {
    const place = `${entry.token} ${recipient}`;
    const count = copies.get(place) ?? 0;
    const due = countFor(acknowledged, recipient);
    surplus.add(count - due);
    if (count < due) verdict.lost.push(...Array<string>(due - count).fill(place));
    else if (count > countFor(tries, recipient)) verdict.duplicate.push(place);
    else if (count > Math.max(due, 1)) repeated.push(...Array<string>(count - Math.max(due, 1)).fill(place));
    if (count < due || count > countFor(tries, recipient)) isWhole = false;
  }
  const sameRecipients = new Set(tries.map(({ recipients }) => recipients.join())).size === 1;
  if (isWhole && sameRecipients && surplus.size > 1) verdict.torn.push(entry.token);
}

function missedPushes(pushed: readonly PushedMail[], found: readonly FoundMail[]): string[] {
  const stored = new Map(found.map(({ owner, id, token }) => [`${owner} ${id}`, token]));
  const lastIds = new Map<string, number>();
  const missed: string[] = [];
  for (const { owner, id, token } of pushed) {
    const isNext = id > (lastIds.get(owner) ?? 0);
    if (!isNext || stored.get(`${owner} ${id}`) !== token) missed.push(`${owner} ${id}`);
    else stored.delete(`${owner} ${id}`);
    lastIds.set(owner, id);
  }
  return [...missed, ...stored.keys()];
}
