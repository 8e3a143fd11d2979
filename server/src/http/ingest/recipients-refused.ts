import { errorTable, Refusal } from "../../errors.ts";
import type { RecipientOutcome, RecipientRefusal } from "../../mail/ingest.ts";

const retryAfterSeconds = 60;

/** True for a refusal that may be over when the mail comes again. */
export function isTemporary(refusal: RecipientRefusal): boolean {
  return errorTable[refusal].status >= 500;
}

/** A mail that nobody got, or not everybody who may get it yet. It reads as its first temporary refusal, else as its first. */
export class RecipientsRefused extends Refusal {
  readonly outcomes: readonly RecipientOutcome[];

  /** At least one of the outcomes is a refusal. */
  constructor(outcomes: readonly RecipientOutcome[]) {
    const refusals = outcomes.flatMap(({ refusal }) => (refusal === null ? [] : [refusal]));
    const temporary = refusals.find(isTemporary);
    super(temporary ?? refusals[0] ?? "unknown_mailbox", temporary === undefined ? {} : { retryAfterSeconds });
    this.outcomes = outcomes;
  }
}
