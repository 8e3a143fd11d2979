import type { TimeFormatter } from "../clock.ts";
import type { MailRecord } from "../mail/follower.ts";
import { seedPush } from "./seed-mail.ts";

/** Messages from this size on are looked for by mail: followers that read the store each get a record of their own. */
const bigBytes = 64 * 1024;

/** Writes mails as WebSocket messages, once each however many followers have the same mail in hand. */
export class PushFrames {
  readonly #formatTime: TimeFormatter;
  /** The live mail that followers have in hand right now. */
  #live: { mail: MailRecord; frame: Buffer } | null = null;
  /** Of mails that are given out again and again. Not of every mail: what a weak map holds outlives it by two collections of garbage. */
  readonly #kept = new WeakMap<MailRecord, Buffer>();
  /** Big messages as long as anybody has them in hand, so that many slow readers of one mail hold it once. */
  readonly #big = new Map<string, WeakRef<Buffer>>();
  readonly #forget = new FinalizationRegistry<string>((name) => {
    if (this.#big.get(name)?.deref() === undefined) this.#big.delete(name);
  });

  constructor(formatTime: TimeFormatter) {
    this.#formatTime = formatTime;
  }

  /** The message of a mail: JSON in UTF-8. Must not be written to, others send the same bytes. */
  of(mail: MailRecord): Buffer {
    if (this.#live?.mail === mail) return this.#live.frame;
    const known = this.#kept.get(mail) ?? this.#big.get(nameOf(mail))?.deref();
    if (known !== undefined) return known;
    const frame = this.#make(mail);
    if (mail.isKept === true) this.#kept.set(mail, frame);
    else if (frame.byteLength < bigBytes) this.#live = { mail, frame };
    return frame;
  }

  #make(mail: MailRecord): Buffer {
    const frame = Buffer.from(JSON.stringify(seedPush(mail, this.#formatTime)));
    if (frame.byteLength >= bigBytes) {
      const name = nameOf(mail);
      this.#big.set(name, new WeakRef(frame));
      this.#forget.register(frame, name);
    }
    return frame;
  }
}

/** No two mails share it: a mailbox has one user, ids of a user are never given again, and a mail never changes. */
function nameOf({ mailboxId, id }: MailRecord): string {
  return `${mailboxId} ${id}`;
}
