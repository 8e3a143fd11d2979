import type { SeedMailList } from "@catmails/client";
import type { TimeFormatter } from "../clock.ts";
import type { MailRecord } from "../mail/reading.ts";
import { seedMail } from "./seed-mail.ts";

const comma = ",".charCodeAt(0);
const end = Buffer.from("]}");
/** Answers that are kept, and the longest that is. */
const maxKept = 64;
const maxKeptBytes = 64 * 1024;

interface KeptAnswer {
  page: readonly MailRecord[];
  bytes: Buffer;
}

/** Writes lists of mails as the API answers them; the text of a mail that is kept is made once, and so is that of a page of them. */
export class ListTexts {
  readonly #formatTime: TimeFormatter;
  readonly #made = new WeakMap<MailRecord, Buffer>();
  /** By their first mail, the oldest answer first. */
  readonly #answers = new Map<MailRecord, KeptAnswer>();

  constructor(formatTime: TimeFormatter) {
    this.#formatTime = formatTime;
  }

  /** The answer with these mails: a `SeedMailList` as JSON in UTF-8. May be given out again: nobody may change its bytes. */
  of(page: readonly MailRecord[]): Buffer {
    const [first] = page;
    // A text for each costs more than one for all where nobody will ask for it again. The newest may be new to everybody.
    if (first === undefined || page.at(-1)?.isKept !== true) return this.#write(page);
    const kept = this.#answers.get(first);
    if (kept !== undefined && isSame(kept.page, page)) return kept.bytes;
    const bytes = this.#join(page);
    if (page.every(({ isKept }) => isKept) && bytes.length <= maxKeptBytes) this.#keep(first, { page, bytes });
    return bytes;
  }

  #keep(first: MailRecord, answer: KeptAnswer): void {
    this.#answers.delete(first);
    const [oldest] = this.#answers.keys();
    if (oldest !== undefined && this.#answers.size >= maxKept) this.#answers.delete(oldest);
    this.#answers.set(first, answer);
  }

  #write(page: readonly MailRecord[]): Buffer {
    const data = page.map((mail) => seedMail(mail, this.#formatTime));
    return Buffer.from(JSON.stringify({ success: true, count: page.length, data } satisfies SeedMailList));
  }

  #join(page: readonly MailRecord[]): Buffer {
    const start = `{"success":true,"count":${page.length},"data":[`;
    const texts = page.map((mail) => this.#textOf(mail));
    const commas = Math.max(0, page.length - 1);
    const bytes = texts.reduce((sum, text) => sum + text.length, start.length + commas + end.length);
    const answer = Buffer.allocUnsafe(bytes);
    let at = answer.write(start, "latin1");
    for (const [index, text] of texts.entries()) {
      if (index > 0) answer[at++] = comma;
      answer.set(text, at);
      at += text.length;
    }
    answer.set(end, at);
    return answer;
  }

  #textOf(mail: MailRecord): Buffer {
    const made = this.#made.get(mail);
    if (made !== undefined) return made;
    const text = Buffer.from(JSON.stringify(seedMail(mail, this.#formatTime)));
    if (mail.isKept === true) this.#made.set(mail, text);
    return text;
  }
}

function isSame(one: readonly MailRecord[], other: readonly MailRecord[]): boolean {
  return one.length === other.length && one.every((mail, index) => mail === other[index]);
}
