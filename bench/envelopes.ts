import type { Envelope } from "./smtp-lane.ts";

const mail = "MAIL FROM:<bench@example.com>\r\n";
const data = "DATA\r\n";
const dataBytes = Buffer.from(data);
const mailBytes = Buffer.from(mail);
/** A prime, so that recipients take turns in an order that has nothing to do with theirs. */
const stride = 7_919;

/** Ready envelopes for a list of recipients, one each. */
export class Envelopes {
  readonly #all: readonly Envelope[];

  /** `pipelined`: MAIL, RCPT and DATA go out in one piece (RFC 2920); otherwise each waits for its reply. */
  constructor(recipients: readonly string[], pipelined: boolean) {
    if (recipients.length === 0) throw new Error("A mail needs a recipient");
    this.#all = recipients.map((recipient) => {
      const rcpt = `RCPT TO:<${recipient}>\r\n`;
      return pipelined
        ? { mail: Buffer.from(mail + rcpt + data), rcpt: null, data: null }
        : { mail: mailBytes, rcpt: Buffer.from(rcpt), data: dataBytes };
    });
  }

  /** The envelope of the mail with this number. */
  of(number: number): Envelope {
    const envelope = this.#all[(number * stride) % this.#all.length];
    if (envelope === undefined) throw new Error(`No mail has the number ${number}`);
    return envelope;
  }
}
