import type { SeedPush } from "@catmails/client";
import type { TimeFormatter } from "../clock.ts";
import type { MailRecord } from "../mail/follower.ts";

/** Writes mails as WebSocket messages, once each however many followers get the same record. */
export class PushFrames {
  readonly #formatTime: TimeFormatter;
  readonly #made = new WeakMap<MailRecord, Buffer>();

  constructor(formatTime: TimeFormatter) {
    this.#formatTime = formatTime;
  }

  /** The message of a mail: JSON in UTF-8. Must not be written to, others send the same bytes. */
  of(mail: MailRecord): Buffer {
    const made = this.#made.get(mail);
    if (made !== undefined) return made;
    const push: SeedPush = {
      from: mail.mailFrom,
      to: mail.mailTo,
      subject: mail.subject,
      content: mail.content,
      received_at: this.#formatTime(mail.receivedAtMs),
      id: mail.id,
    };
    const frame = Buffer.from(JSON.stringify(push));
    this.#made.set(mail, frame);
    return frame;
  }
}
