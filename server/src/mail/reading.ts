import { Refusal } from "../errors.ts";
import type { Origin } from "../origin.ts";
import type { DmarcResult } from "../sender/sender.ts";
import type { MailFilter, MailRecord, Store } from "../store/store.ts";
import { resolveFilters, type Access } from "./access.ts";
import type { Contents } from "./contents.ts";
import type { Feed } from "./feed.ts";
import { shownAuthentication, type ShownAuthentication } from "./sender-findings.ts";
import type { SenderResults } from "./sender-results.ts";

export { dmarcResults } from "../sender/sender.ts";
export type { MailRecord } from "../store/store.ts";

/** Mails of one page at the most. */
export const maxPageMails = 200;
/** Mails of one page when nobody says how many. */
export const defaultPageMails = 50;
/** A page ends early once its subjects and contents reach this many characters; one mail always fits. */
export const maxPageChars = 8 * 1024 * 1024;
/** Longest time that a list may wait for its first mail. */
const maxWaitMs = 60_000;

export interface ListRequest {
  access: Access;
  addresses: readonly string[];
  /** Mails of the page; anything above {@link maxPageMails} counts as that. */
  limit: number;
  /** Mails after this id, the oldest first in line. */
  since?: number | undefined;
  /** Mails before this id. */
  before?: number | undefined;
  /** Only mails whose sender was checked with this result. A wait then ends once the result is there. */
  dmarc?: DmarcResult | undefined;
  /** How long an empty answer is held back, at most a minute; 0 answers at once. */
  waitMs: number;
  /** Ends a wait early, when nobody listens any more. */
  signal: AbortSignal;
}

/** One mail with everything that is known of it but its raw bytes. */
export interface MailView extends MailRecord {
  envelopeFrom: string;
  defects: readonly string[];
  sizeBytes: number;
  origin: Origin | null;
  authentication: ShownAuthentication;
}

/** One mail of a user in these mailboxes (`null`: in all); `null` when it is absent, foreign or elsewhere, all alike. */
export async function viewMail(
  contents: Pick<Contents, "describe">,
  key: { userId: number; id: number; mailboxIds: readonly number[] | null },
): Promise<MailView | null> {
  const details = await contents.describe({ ...key, nowMs: Date.now() });
  if (details === null) return null;
  const { sender, ...mail } = details;
  return { ...mail, authentication: shownAuthentication(sender) };
}

export interface ReaderOptions {
  store: Store;
  contents: Pick<Contents, "list" | "describe">;
  feed: Pick<Feed, "follow">;
  results: Pick<SenderResults, "listen">;
}

/** Reads mails for one key at a time. */
export class Reader {
  readonly #store: Store;
  readonly #contents: ReaderOptions["contents"];
  readonly #feed: ReaderOptions["feed"];
  readonly #results: ReaderOptions["results"];

  constructor({ store, contents, feed, results }: ReaderOptions) {
    this.#store = store;
    this.#contents = contents;
    this.#feed = feed;
    this.#results = results;
  }

  /**
   * One page, newest first. With `since` it holds the oldest mails after it, so that going on from its newest id skips
   * nothing. With `waitMs` an answer that would be empty is held until a mail is there.
   * Throws `mailbox_scope_invalid`, `invalid_parameter`, `too_many_followers`, and during a wait `invalid_key`.
   */
  async list(request: ListRequest): Promise<MailRecord[]> {
    const filters = await resolveFilters(this.#store, request.access, request.addresses);
    const page = await this.#page(request, filters);
    // Below an upper bound nothing new can appear.
    if (page.length > 0 || request.waitMs <= 0 || request.before !== undefined) return page;
    const came = await this.#wait(request, filters);
    return came ? await this.#page(request, filters) : [];
  }

  /** One mail; `null` when it is absent, foreign or outside the key's scope. */
  view({ userId, mailboxIds }: Access, id: number): Promise<MailView | null> {
    return viewMail(this.#contents, { userId, id, mailboxIds });
  }

  async #page(request: ListRequest, filters: readonly MailFilter[]): Promise<MailRecord[]> {
    const { since, before, dmarc } = request;
    const page = await this.#contents.list({
      userId: request.access.userId,
      filters,
      order: since === undefined ? "newest" : "oldest",
      limit: Math.min(request.limit, maxPageMails),
      maxChars: maxPageChars,
      nowMs: Date.now(),
      afterId: since,
      beforeId: before,
      dmarc,
    });
    return since === undefined ? page : page.reverse();
  }

  /** True once a mail is there, false when the time is up or the caller has gone. */
  async #wait(request: ListRequest, filters: readonly MailFilter[]): Promise<boolean> {
    const done = Promise.withResolvers<boolean>();
    // It may be refused before anybody awaits it.
    done.promise.catch(() => undefined);
    // A follower from the same cursor reads the store first, so a mail that came since the empty page is not missed.
    const follower = await this.#feed.follow({
      access: request.access,
      addresses: request.addresses,
      filters,
      ...(request.dmarc === undefined ? { since: request.since ?? 0 } : {}),
      sink: {
        write: () => {
          if (request.dmarc !== undefined) return true;
          done.resolve(true);
          return false;
        },
        end: (reason) => done.reject(new Refusal(reason === "shutdown" ? "unavailable" : reason)),
      },
    });
    // A result comes after its mail, so the results are waited for; the follower only tells when the key goes bad.
    const listening = request.dmarc === undefined ? null : this.#listenForResults(request, filters, done);
    const giveUp = (): void => done.resolve(false);
    const timer = setTimeout(giveUp, Math.min(request.waitMs, maxWaitMs));
    request.signal.addEventListener("abort", giveUp);
    if (request.signal.aborted) giveUp();
    try {
      return await done.promise;
    } finally {
      clearTimeout(timer);
      request.signal.removeEventListener("abort", giveUp);
      listening?.[Symbol.dispose]();
      follower.close();
    }
  }

  /** Looks at once, for what came since the empty page, and again after each batch of results for the user. */
  #listenForResults(
    request: ListRequest,
    filters: readonly MailFilter[],
    done: PromiseWithResolvers<boolean>,
  ): Disposable {
    const look = async (): Promise<void> => {
      try {
        if ((await this.#page({ ...request, limit: 1 }, filters)).length > 0) done.resolve(true);
      } catch (error) {
        done.reject(error);
      }
    };
    const listening = this.#results.listen(request.access.userId, () => void look());
    void look();
    return listening;
  }
}
