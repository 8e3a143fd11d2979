import type { MailRecord } from "../store.ts";

/** Characters of all kept mails together, and of the longest that is kept. */
const maxChars = 8 * 1024 * 1024;
const maxMailChars = 64 * 1024;
/** What a mail costs beside its texts, in characters. */
const mailChars = 300;

/** Ids that are remembered as asked for once; a power of two. */
const seenSlots = 32_768;

type Mails = Map<number, Map<number, MailRecord>>;

/**
 * Mails that were asked for twice lately, so that a list that is asked for again and again need not read them again, and a walk
 * through all of a mailbox costs nothing here: a committed mail never changes, and its id is never given to another. It knows nothing of who may see a mail or whether it is still there;
 * whoever asks has the ids from the database, in the same moment. Bounded: what was not asked for in a while goes.
 */
export class MailMemory {
  /** Kept or asked for since the last turn, and before it: two halves that change places cost less than an order of use. */
  #young: Mails = new Map();
  #old: Mails = new Map();
  #youngChars = 0;
  /** Of whose mail each slot was taken last: wrong where two share one, which does no harm. */
  readonly #seen = new Float64Array(seenSlots);

  get(userId: number, id: number): MailRecord | undefined {
    const young = this.#young.get(userId)?.get(id);
    if (young !== undefined) return young;
    const old = this.#old.get(userId)?.get(id);
    if (old !== undefined) this.#keep(userId, old);
    return old;
  }

  /**
   * Takes note of a mail that was just read, and keeps it when that is not the first time, unless it is very long. A mail that
   * is kept is given out as this same object from now on, and says so: nobody may change it.
   */
  note(userId: number, mail: MailRecord): void {
    const name = userId * 0x1_0000_0000 + mail.id;
    const slot = (Math.imul(userId, 0x9e37_79b1) + mail.id) & (seenSlots - 1);
    const isFirst = this.#seen[slot] !== name;
    this.#seen[slot] = name;
    if (isFirst || charsOf(mail) > maxMailChars) return;
    mail.isKept = true;
    this.#keep(userId, mail);
  }

  #keep(userId: number, mail: MailRecord): void {
    const chars = charsOf(mail);
    if (this.#youngChars + chars > maxChars / 2) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngChars = 0;
    }
    this.#youngChars += chars;
    const mails = this.#young.get(userId);
    if (mails === undefined) this.#young.set(userId, new Map([[mail.id, mail]]));
    else mails.set(mail.id, mail);
  }
}

function charsOf({ subject, content }: MailRecord): number {
  return subject.length + content.length + mailChars;
}
