import type { MailRecord } from "../store.ts";

/** Characters of all kept mails together, and of the longest that is kept. */
const maxChars = 8 * 1024 * 1024;
const maxMailChars = 64 * 1024;
/** What a mail costs beside its texts, in characters. */
const mailChars = 300;

type Mails = Map<number, Map<number, MailRecord>>;

/**
 * Mails that were read lately, so that a list that is asked for again need not read them again: a committed mail never
 * changes, and its id is never given to another. It knows nothing of who may see a mail or whether it is still there;
 * whoever asks has the ids from the database, in the same moment. Bounded: what was not asked for in a while goes.
 */
export class MailMemory {
  /** Kept or asked for since the last turn, and before it: two halves that change places cost less than an order of use. */
  #young: Mails = new Map();
  #old: Mails = new Map();
  #youngChars = 0;

  get(userId: number, id: number): MailRecord | undefined {
    const young = this.#young.get(userId)?.get(id);
    if (young !== undefined) return young;
    const old = this.#old.get(userId)?.get(id);
    if (old !== undefined) this.keep(userId, old);
    return old;
  }

  /** Keeps a mail that was just read, unless it is very long. The same object is given out from now on: nobody may change it. */
  keep(userId: number, mail: MailRecord): void {
    const chars = mail.subject.length + mail.content.length + mailChars;
    if (chars > maxMailChars) return;
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
