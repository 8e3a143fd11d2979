import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../support/random.ts";
import type { Ledger } from "./ledger.ts";
import { makeMail, makeToken, stuffDots } from "./mail-factory.ts";
import { LinkLost, SmtpLink, type Delivery } from "./smtp-link.ts";

/** A mail that a sender has to hand over. */
export interface OutgoingMail {
  token: string;
  raw: Buffer;
  recipients: readonly string[];
}

export interface LoadOptions {
  port: number;
  connections: number;
  /** Where mails may go, and what must be refused. */
  addresses: readonly string[];
  unknownAddress: string;
  ledger: Ledger;
  random: Random;
  /** Mails whose fate is unknown. They are sent again first; what a load leaves unknown is added for the next one. */
  outbox: OutgoingMail[];
}

/** How long a sender waits after a 4yz or a lost connection. Real ones wait for minutes. */
const retryDelayMs = 20;

/**
 * Senders that do what senders do, good and bad, until they are stopped: mails to one and several, kept connections and new
 * ones, unknown recipients, broken line ends, mails that break off in the middle, the same mail twice, and mails sent again
 * because nobody knows what became of them.
 */
export class Load {
  readonly #options: LoadOptions;
  readonly #stop = new AbortController();
  readonly #cut = new AbortController();
  readonly #senders: Promise<unknown>;
  #watcher: { isEnough: () => boolean; resolve: () => void } | null = null;
  #acknowledged = 0;
  #delayed = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#senders = Promise.all(Array.from({ length: options.connections }, () => this.#send()));
  }

  /** Mails answered 250. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Mails answered 4yz. */
  get delayed(): number {
    return this.#delayed;
  }

  /** Resolves true once the counts are enough, false when that takes longer. */
  async reaches(isEnough: (load: Load) => boolean, patienceMs: number): Promise<boolean> {
    const timer = new AbortController();
    const enough = new Promise<boolean>((resolve) => {
      this.#watcher = { isEnough: () => isEnough(this), resolve: () => resolve(true) };
      this.#look();
    });
    const tooLate = delay(patienceMs, false, { signal: timer.signal }).catch(() => false);
    const isReached = await Promise.race([enough, tooLate]);
    timer.abort();
    this.#watcher = null;
    return isReached;
  }

  /** Ends every connection at once, wherever it is, unless the server has done so already. */
  async cut(): Promise<void> {
    this.#stop.abort();
    this.#cut.abort();
    await this.#senders;
  }

  /** Every sender ends after the mail it is at. */
  async finish(): Promise<void> {
    this.#stop.abort();
    await this.#senders;
  }

  #look(): void {
    if (this.#watcher?.isEnough() === true) this.#watcher.resolve();
  }

  async #send(): Promise<void> {
    const { port, random } = this.#options;
    while (!this.#stop.signal.aborted) {
      try {
        using link = await SmtpLink.open(port, this.#cut.signal);
        const mails = random.integer(1, 200);
        for (let sent = 0; sent < mails && !this.#stop.signal.aborted; sent++) await this.#sendOne(link);
      } catch (error) {
        if (!(error instanceof LinkLost)) throw error;
        await this.#pause();
      }
    }
  }

  async #sendOne(link: SmtpLink): Promise<void> {
    const { outbox } = this.#options;
    const again = outbox.shift();
    const mail = again ?? this.#compose();
    const isSound = again !== undefined || this.#options.random.chance(0.96);
    const reply = isSound ? await this.#hand(link, mail) : await this.#misbehave(link, mail);
    if (reply.startsWith("250 ")) {
      this.#acknowledged++;
      if (isSound && this.#options.random.chance(0.01)) outbox.push(mail);
    } else if (reply.startsWith("4")) {
      this.#delayed++;
      if (isSound) outbox.push(mail);
      await this.#pause();
    }
    this.#look();
  }

  #compose(): OutgoingMail {
    const { random, addresses } = this.#options;
    const token = makeToken();
    const bytes = random.chance(0.02) ? random.integer(30_000, 200_000) : random.integer(200, 6000);
    const recipients = random.some(addresses, random.chance(0.2) ? 4 : 1);
    return { token, raw: makeMail(random, token, bytes), recipients };
  }

  async #hand(link: SmtpLink, mail: OutgoingMail): Promise<string> {
    this.#options.ledger.begin(mail.token, mail.raw);
    try {
      return await this.#deliver(link, mail, this.#delivery(mail));
    } catch (error) {
      this.#options.outbox.push(mail);
      throw error;
    }
  }

  /** What a server has to refuse, or never sees the end of. Such a mail is not sent again. */
  async #misbehave(link: SmtpLink, mail: OutgoingMail): Promise<string> {
    const { random, unknownAddress, ledger } = this.#options;
    ledger.begin(mail.token, mail.raw);
    const delivery = this.#delivery(mail);
    switch (random.integer(0, 3)) {
      case 0:
        await link.abandon(delivery);
        throw new LinkLost("broken off on purpose");
      case 1:
        return this.#deliver(link, mail, { ...delivery, recipients: [unknownAddress] });
      case 2:
        return this.#deliver(link, mail, { ...delivery, recipients: [...mail.recipients, unknownAddress] });
      default: {
        // A bare LF: refused, and the server ends the connection.
        const wire = Buffer.concat([delivery.wire, Buffer.from("bare\n.\nlines\r\n")]);
        return this.#deliver(link, mail, { ...delivery, wire });
      }
    }
  }

  #delivery({ token, raw, recipients }: OutgoingMail): Delivery {
    const { ledger } = this.#options;
    const onFinalDot = (accepted: readonly string[]): void => ledger.dot(token, accepted);
    return { envelopeFrom: "sender@example.org", recipients, wire: stuffDots(raw), onFinalDot };
  }

  async #deliver(link: SmtpLink, { token }: OutgoingMail, delivery: Delivery): Promise<string> {
    const reply = await link.deliver(delivery);
    this.#options.ledger.answer(token, reply);
    return reply;
  }

  async #pause(): Promise<void> {
    await delay(retryDelayMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }
}
