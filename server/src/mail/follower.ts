import type { Logger } from "../log.ts";
import type { MailFilter, MailRecord } from "../store/store.ts";
import type { Access } from "./access.ts";
import type { Contents } from "./contents.ts";

export type { MailRecord } from "../store/store.ts";

/** Why a follower was ended by the feed. */
export type EndReason = "invalid_key" | "mailbox_scope_invalid" | "shutdown" | "internal";

/** Where a follower's mails go. Calls come one at a time, in id order, each mail once. */
export interface FollowerSink {
  /**
   * Takes one mail; always takes it. Answers whether there is room for another: after `false` nothing comes until
   * {@link Follower.resume} is called. A sink that throws is ended with `internal`.
   */
  write(mail: MailRecord): boolean;
  /** The follower is over; nothing comes after this. Not called for {@link Follower.close}. */
  end(reason: EndReason): void;
}

/** What a follower wants to see. */
export interface Subscription {
  access: Access;
  /** Addresses that were asked for; `null`: everything the key may read. */
  addresses: readonly string[] | null;
  /** What `addresses` stands for right now; `null`: every mailbox of the user. */
  filters: readonly MailFilter[] | null;
}

/** Mails read from the store at a time while catching up, and their characters: small, so that one follower never holds up the rest. */
const pageMails = 100;
const pageChars = 256 * 1024;

/** What a follower knows of its user's feed: how many announcements there were, to see whether one came during a read. */
export interface FeedHead {
  announcements: number;
}

/**
 * A cursor on one user's feed. Behind, it reads the store; caught up, it is handed live mails; while its sink is full
 * it does neither, and goes on from the store after {@link resume}. So a slow reader costs no memory.
 */
export class Follower {
  subscription: Subscription;
  #cursor: number;
  #state: "behind" | "reading" | "live" | "full" | "closed" = "behind";
  readonly #head: FeedHead;
  readonly #sink: FollowerSink;
  readonly #contents: Pick<Contents, "list">;
  readonly #log: Logger;
  readonly #onClose: (follower: Follower) => void;

  constructor(options: {
    subscription: Subscription;
    cursor: number;
    head: FeedHead;
    sink: FollowerSink;
    contents: Pick<Contents, "list">;
    log: Logger;
    onClose: (follower: Follower) => void;
  }) {
    this.subscription = options.subscription;
    this.#cursor = options.cursor;
    this.#head = options.head;
    this.#sink = options.sink;
    this.#contents = options.contents;
    this.#log = options.log;
    this.#onClose = options.onClose;
  }

  /** Every mail up to this id that the subscription covers has been written to the sink. */
  get cursor(): number {
    return this.#cursor;
  }

  /** True when a read failed and is to be tried again. */
  get isBehind(): boolean {
    return this.#state === "behind";
  }

  /** Says that the sink has room again. */
  resume(): void {
    if (this.#state === "full") this.#catchUp();
  }

  /** Ends the follower without a word to its sink. */
  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#onClose(this);
  }

  /** Ends the follower and tells its sink why. Called by the feed. */
  end(reason: EndReason): void {
    if (this.#state === "closed") return;
    this.close();
    this.#sink.end(reason);
  }

  /** Called by the feed, in id order, for every mail of the user that this process has just committed. */
  offer(mail: MailRecord): void {
    if (this.#state !== "live" || mail.id <= this.#cursor) return;
    this.#cursor = mail.id;
    if (matches(this.subscription.filters, mail)) this.#write(mail);
  }

  /** Called by the feed to start, and when the store holds mails that were never offered. */
  catchUp(): void {
    if (this.#state === "live" || this.#state === "behind") this.#catchUp();
  }

  #catchUp(): void {
    this.#state = "reading";
    this.#read().catch((error: unknown) => {
      // The feed's next look at the store tries again.
      this.#log.error({ err: error }, "A follower could not read the store");
      this.#setState("behind");
    });
  }

  async #read(): Promise<void> {
    while (this.#state === "reading") {
      const { announcements } = this.#head;
      const page = await this.#contents.list({
        userId: this.subscription.access.userId,
        filters: this.subscription.filters,
        afterId: this.#cursor,
        order: "oldest",
        limit: pageMails,
        maxChars: pageChars,
        nowMs: Date.now(),
      });
      for (const mail of page) {
        if (this.#state !== "reading") return;
        this.#cursor = mail.id;
        this.#write(mail);
      }
      // Only an empty page proves the end, and only if nothing was announced while it was read.
      if (page.length === 0 && announcements === this.#head.announcements) this.#setState("live");
    }
  }

  /** The mail is committed and may be on its way to being acknowledged: no fault of a sink may get in between. */
  #write(mail: MailRecord): void {
    try {
      if (!this.#sink.write(mail)) this.#setState("full");
    } catch (error) {
      this.#log.error({ err: error }, "A follower could not take a mail");
      this.end("internal");
    }
  }

  #setState(state: "behind" | "live" | "full"): void {
    if (this.#state !== "closed") this.#state = state;
  }
}

function matches(filters: readonly MailFilter[] | null, mail: MailRecord): boolean {
  return (
    filters === null ||
    filters.some(
      (filter) => filter.mailboxId === mail.mailboxId && (filter.mailTo === null || filter.mailTo === mail.mailTo),
    )
  );
}
