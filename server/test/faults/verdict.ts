import type { LedgerEntry } from "./ledger.ts";

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

/** Tokens of mails by what went wrong with them. A list of a mail and its recipient has `token address`. */
export interface Verdict {
  /** Acknowledged, not there. */
  lost: string[];
  /** There, with other bytes. */
  corrupt: string[];
  /** There, though refused, never finished, or never sent. */
  phantom: string[];
  duplicate: string[];
  /** There for somebody it was not for. */
  misrouted: string[];
  /** Not acknowledged, and there for some of its recipients only. */
  torn: string[];
}

/** A verdict with nothing to say. */
export const faultless: Verdict = { lost: [], corrupt: [], phantom: [], duplicate: [], misrouted: [], torn: [] };

/** Holds what senders know against what a reader found. `owners` tells whose each recipient address is. */
export function judge(
  ledger: ReadonlyMap<string, LedgerEntry>,
  found: readonly FoundMail[],
  owners: ReadonlyMap<string, string>,
): Verdict {
  const verdict: Verdict = structuredClone(faultless);
  const seen = new Set<string>();
  for (const mail of found) {
    const place = `${mail.token} ${mail.mailTo}`;
    const entry = ledger.get(mail.token);
    if (entry === undefined || entry.state === "begun" || entry.state === "refused") verdict.phantom.push(mail.token);
    else if (!entry.recipients.includes(mail.mailTo) || owners.get(mail.mailTo) !== mail.owner) {
      verdict.misrouted.push(place);
    } else if (seen.has(place)) verdict.duplicate.push(place);
    else if (entry.sha256 !== mail.sha256) verdict.corrupt.push(mail.token);
    seen.add(place);
  }
  for (const entry of ledger.values()) {
    const missing = entry.recipients.filter((recipient) => !seen.has(`${entry.token} ${recipient}`));
    if (entry.state === "acknowledged") verdict.lost.push(...missing.map((recipient) => `${entry.token} ${recipient}`));
    if (entry.state === "unknown" && missing.length > 0 && missing.length < entry.recipients.length) {
      verdict.torn.push(entry.token);
    }
  }
  return verdict;
}
