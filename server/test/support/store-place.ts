import type {
  Mailbox,
  MailFilter,
  MailQuery,
  ListedMail,
  NewMail,
  NewMailbox,
  Store,
  User,
} from "../../src/store/store.ts";
import { newMailbox } from "./new-mailbox.ts";

/** A moment that the suite calls now. */
export const now = Date.UTC(2030, 0, 1);
export const day = 86_400_000;

/** What an engine brings to the suite. */
export interface StoreEngine {
  name: string;
  /** An empty place of its own for one store. */
  makePlace(): Promise<StorePlace>;
}

export interface StorePlace extends AsyncDisposable {
  /** Opens a store on the place's data; several may be open at once, as from several processes. */
  open(): Promise<Store>;
  /** Name of a file or location that does not exist yet, for a backup. */
  backupTarget(): string;
  /** A place whose data is that backup. */
  restore(target: string): Promise<StorePlace>;
}

/** A store with a domain in it, and short words for what tests do with it. */
export class StoreScene implements AsyncDisposable {
  readonly store: Store;
  readonly place: StorePlace;
  readonly #ownsPlace: boolean;

  constructor(place: StorePlace, store: Store, ownsPlace: boolean) {
    this.place = place;
    this.store = store;
    this.#ownsPlace = ownsPlace;
  }

  /** A new place with domain `mails.test`. */
  static async open(engine: StoreEngine): Promise<StoreScene> {
    const place = await engine.makePlace();
    const scene = new StoreScene(place, await place.open(), true);
    await scene.store.createDomain({ name: "mails.test", allowsTemp: true, nowMs: now });
    return scene;
  }

  /** One more store on the same data. */
  async another(): Promise<StoreScene> {
    return new StoreScene(this.place, await this.place.open(), false);
  }

  user(name: string): Promise<User> {
    return this.store.createUser({ address: `${name}@mails.test`, nowMs: now });
  }

  temp(user: User, name: string, more: Partial<NewMailbox> = {}): Promise<Mailbox> {
    const address = `${name}@mails.test`;
    return this.store.createMailbox(newMailbox({ userId: user.id, address, kind: "temp", nowMs: now, ...more }));
  }

  alias(user: User, name: string, more: Partial<NewMailbox> = {}): Promise<Mailbox> {
    return this.temp(user, name, { kind: "alias", ...more });
  }

  /** Gives a mailbox up at `now`, unless another time is named. */
  drop(user: User, name: string, more: Partial<Parameters<Store["deleteMailbox"]>[0]> = {}): Promise<boolean> {
    return this.store.deleteMailbox({
      userId: user.id,
      address: `${name}@mails.test`,
      kinds: ["alias", "temp"],
      mailboxIds: null,
      nowMs: now,
      reserveMs: 30 * day,
      ...more,
    });
  }

  /** Commits a mail and answers its id at its first recipient; 0 when it is gone. */
  async deliver(to: Recipient | readonly Recipient[], subject: string, more: Partial<NewMail> = {}): Promise<number> {
    const committed = await this.store.commit(newMail(to, subject, more));
    return committed.delivered[0]?.id ?? 0;
  }

  async list(user: User, more: Partial<MailQuery> = {}): Promise<ListedMail[]> {
    return await this.store.listMails({
      userId: user.id,
      filters: null,
      order: "newest",
      limit: 50,
      maxChars: 1_000_000,
      nowMs: now,
      ...more,
    });
  }

  async subjects(user: User, more: Partial<MailQuery> = {}): Promise<string[]> {
    return (await this.list(user, more)).map(({ subject }) => subject);
  }

  /** Runs purge until nothing is left. */
  async purgeAll(limit = 100, nowMs = now): Promise<number> {
    let total = 0;
    for (;;) {
      const gone = await this.store.purge({ nowMs, limit });
      if (gone === 0) return total;
      total += gone;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    if (this.#ownsPlace) await this.place[Symbol.asyncDispose]();
  }
}

export interface Recipient {
  userId: number;
  mailboxId: number;
  mailTo: string;
}

/** Mail for a user's main mailbox, or for any address in it. */
export function main(user: User, mailTo = user.address): Recipient {
  return { userId: user.id, mailboxId: user.mailboxId, mailTo };
}

/** Mail for a mailbox, or for any address in it. */
export function box(mailbox: Mailbox, mailTo = mailbox.address): Recipient {
  return { userId: mailbox.userId, mailboxId: mailbox.id, mailTo };
}

export function inBox(mailbox: Mailbox, mailTo: string | null = null): MailFilter {
  return { mailboxId: mailbox.id, mailTo };
}

export function newMail(to: Recipient | readonly Recipient[], subject: string, more: Partial<NewMail> = {}): NewMail {
  return {
    raw: new TextEncoder().encode(`Subject: ${subject}\r\n\r\nHello\r\n`),
    envelopeFrom: "bounce@example.org",
    mailFrom: "sender@example.org",
    subject,
    content: "Hello",
    receivedAtMs: now,
    defects: [],
    origin: null,
    recipients: Array.isArray(to) ? to : [to as Recipient],
    ...more,
  };
}

/** A route as one short text: how it was found and where it leads. */
export async function routeText(store: Store, text: string, nowMs = now): Promise<string> {
  const plus = text.indexOf("+");
  const domain = text.slice(text.lastIndexOf("@") + 1);
  const base = plus > 0 ? `${text.slice(0, plus)}@${domain}` : text;
  const route = await store.route({ text, base, domain }, nowMs);
  return route.kind === "mailbox" ? `${route.via} ${route.mailbox.address}` : route.kind;
}
