import type { SeedMailList } from "@catmails/client";
import type { TimeFormatter } from "../clock.ts";
import type { MailRecord } from "../mail/reading.ts";
import { seedMail } from "./seed-mail.ts";

const comma = ",".charCodeAt(0);
const end = Buffer.from("]}");

/** Writes lists of mails as the API answers them; the text of a mail that is kept is made once. */
export class ListTexts {
  readonly #formatTime: TimeFormatter;
  readonly #made = new WeakMap<MailRecord, Buffer>();

  constructor(formatTime: TimeFormatter) {
    this.#formatTime = formatTime;
  }

  /** The answer with these mails: a `SeedMailList` as JSON in UTF-8. */
  of(page: readonly MailRecord[]): Buffer {
    // A text for each costs more than one for all where nobody will ask for it again. The newest may be new to everybody.
    return page.at(-1)?.isKept === true ? this.#join(page) : this.#write(page);
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
