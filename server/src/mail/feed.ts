import { setTimeout as delay } from "node:timers/promises";
import { Refusal } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { MailFilter, MailRecord, Store } from "../store/store.ts";
import type { Contents } from "./contents.ts";
import { renewAccess, resolveLiveFilters, scopeFilters, type Access } from "./access.ts";
import { Follower, type FeedHead, type FollowerSink } from "./follower.ts";

export interface FeedOptions {
  store: Store;
  contents: Pick<Contents, "list">;
  log: Logger;
  metrics: Metrics;
  /** Open followers of all users together. */
  maxFollowers: number;
  maxFollowersPerUser: number;
}

export interface FollowRequest {
  access: Access;
  /** Addresses that were asked for; `null`: everything the key may read, also mailboxes made later. */
  addresses: readonly string[] | null;
  /** What the addresses stand for now; `null`: every mailbox of the user. */
  filters: readonly MailFilter[] | null;
  /** Mails after this id; left out: only mails stored from now on. */
  since?: number;
  sink: FollowerSink;
}

/** A mail that was just stored. `content` is `null` where nobody has read it: followers then read the mail from the store. */
export type AnnouncedMail = Omit<MailRecord, "content"> & { readonly content: string | null };

/** How often the store is asked for revoked keys and changed mailboxes, so that an open socket notices within a second. */
const watchIntervalMs = 300;
/** Time spent on looking at followers before the event loop gets its turn; one of them may name a hundred addresses. */
const sliceMs = 5;

interface UserFeed extends FeedHead {
  /** Last mail id known to exist. Ids of a user are given out without gaps, so a jump means a mail that was not announced here. */
  lastId: number;
  followers: Set<Follower>;
  /** Followers and those about to become one. */
  places: number;
  /** The look at this user's followers that has begun last; never rejects. */
  look: Promise<void>;
  /** The one after it, shared by all who ask before it begins. */
  nextLook: Promise<void> | null;
}

/**
 * Hands each user's new mails to that user's followers, once and in id order. A follower that missed an announcement, because
 * it was slow or because another process stored the mail, reads the store instead.
 */
export class Feed implements AsyncDisposable {
  readonly #options: FeedOptions;
  readonly #users = new Map<number, UserFeed>();
  readonly #stop = new AbortController();
  readonly #foreign: Disposable;
  readonly #watching: Promise<void>;
  #places = 0;
  #revision: number | null = null;
  #foreignChange = false;

  constructor(options: FeedOptions) {
    this.#options = options;
    this.#foreign = options.store.onForeignChange(() => {
      this.#foreignChange = true;
    });
    this.#watching = this.#watch();
  }

  /** Whether anybody follows a user's mails right now, and would be handed a mail that is announced. */
  isFollowed(userId: number): boolean {
    return this.#users.has(userId);
  }

  /** Tells followers of a mail that this process has just committed; to be called in commit order. */
  announce(userId: number, mail: AnnouncedMail): void {
    const user = this.#users.get(userId);
    if (user === undefined) return;
    user.announcements++;
    const inOrder = mail.id === user.lastId + 1;
    if (mail.id > user.lastId) user.lastId = mail.id;
    for (const follower of user.followers) {
      if (inOrder && isRead(mail)) follower.offer(mail);
      else if (follower.cursor < mail.id) follower.catchUp();
    }
  }

  /**
   * Starts a follower of an access and filters that the caller has just resolved. A `since` beyond the last id counts as
   * the last id. Throws `too_many_followers` at a limit and `unavailable` during a shutdown.
   */
  async follow(request: FollowRequest): Promise<Follower> {
    const { userId } = request.access;
    const user = this.#takePlace(userId);
    let follower: Follower | null = null;
    try {
      const lastId = (await this.#options.store.lastMailIds([userId])).get(userId) ?? 0;
      user.lastId = Math.max(user.lastId, lastId);
      const added: Follower = new Follower({
        subscription: { access: request.access, addresses: request.addresses, filters: request.filters },
        cursor: Math.min(request.since ?? lastId, lastId),
        head: user,
        sink: request.sink,
        contents: this.#options.contents,
        log: this.#options.log,
        onClose: () => {
          user.followers.delete(added);
          this.#leavePlace(userId, user);
        },
      });
      follower = added;
      user.followers.add(follower);
      // Whatever changed since the caller looked was not told to a follower that was not in the set yet.
      await this.#revalidate(follower);
      if (this.#stop.signal.aborted) follower.end("shutdown");
      follower.catchUp();
      return follower;
    } catch (error) {
      if (follower === null) this.#leavePlace(userId, user);
      else follower.close();
      throw error;
    }
  }

  /**
   * Looks again at what one user's followers may see; call it after changing the user's mailboxes, before saying so.
   * Never rejects: the change is made, and what could not be looked at now is looked at within a second.
   */
  async refresh(userId: number): Promise<void> {
    try {
      await this.#lookAtUser(userId);
    } catch (error) {
      this.#options.log.error({ err: error }, "Could not look at followers after a change");
    }
  }

  /** Ends every follower with `shutdown` and takes no more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#foreign[Symbol.dispose]();
    for (const user of this.#users.values()) {
      for (const follower of user.followers) follower.end("shutdown");
    }
    await this.#watching;
  }

  #takePlace(userId: number): UserFeed {
    if (this.#stop.signal.aborted) throw new Refusal("unavailable");
    const { maxFollowers, maxFollowersPerUser, metrics } = this.#options;
    const user = this.#users.get(userId) ?? newUserFeed();
    if (this.#places >= maxFollowers || user.places >= maxFollowersPerUser) {
      throw new Refusal("too_many_followers", { retryAfterSeconds: 5 });
    }
    this.#users.set(userId, user);
    user.places++;
    this.#places++;
    metrics.followers.set(this.#places);
    return user;
  }

  #leavePlace(userId: number, user: UserFeed): void {
    user.places--;
    this.#places--;
    if (user.places === 0) this.#users.delete(userId);
    this.#options.metrics.followers.set(this.#places);
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#look();
      } catch (error) {
        if (!signal.aborted) this.#options.log.error({ err: error }, "Could not look for changes in the store");
      }
      // Rejects only when it is aborted, which the loop's condition sees.
      await delay(watchIntervalMs, undefined, { ref: false, signal }).catch(() => undefined);
    }
  }

  async #look(): Promise<void> {
    const { store } = this.#options;
    const { revision, userIds } = await store.changedUsers(this.#revision ?? Number.MAX_SAFE_INTEGER);
    if (this.#revision !== null) await Promise.all(userIds.map((userId) => this.#lookAtUser(userId)));
    // Only now: what could not be looked at has to be looked at again, or a revoked key would go on.
    this.#revision = revision;
    this.#endExpired();
    this.#retryBehind();
    if (this.#foreignChange) await this.#catchUpWithForeignMails();
  }

  /**
   * Looks at a user's followers once more. Looks of one user never overlap, and all who ask before the next one begins
   * share it: somebody with many followers who changes mailboxes all the time would keep everybody else waiting.
   */
  #lookAtUser(userId: number): Promise<void> {
    const user = this.#users.get(userId);
    if (user === undefined) return Promise.resolve();
    user.nextLook ??= user.look.then(() => {
      user.nextLook = null;
      const look = this.#revalidateAll(user);
      user.look = look.catch(() => undefined);
      return look;
    });
    return user.nextLook;
  }

  async #revalidateAll(user: UserFeed): Promise<void> {
    let startedMs = performance.now();
    for (const follower of [...user.followers]) {
      await this.#revalidate(follower);
      if (performance.now() - startedMs < sliceMs) continue;
      await delay(0);
      startedMs = performance.now();
    }
  }

  async #revalidate(follower: Follower): Promise<void> {
    const { store } = this.#options;
    const { addresses } = follower.subscription;
    const access = await renewAccess(store, follower.subscription.access);
    if (access === null) {
      follower.end("invalid_key");
      return;
    }
    const filters = addresses === null ? scopeFilters(access) : await resolveLiveFilters(store, access, addresses);
    if (addresses !== null && filters?.length === 0) follower.end("mailbox_scope_invalid");
    else follower.subscription = { access, addresses, filters };
  }

  #endExpired(): void {
    const nowMs = Date.now();
    this.#forEach((follower) => {
      const { expiresAtMs } = follower.subscription.access;
      if (expiresAtMs !== null && expiresAtMs <= nowMs) follower.end("invalid_key");
    });
  }

  #retryBehind(): void {
    this.#forEach((follower) => {
      if (follower.isBehind) follower.catchUp();
    });
  }

  async #catchUpWithForeignMails(): Promise<void> {
    const lastIds = await this.#readLastIds();
    for (const [userId, lastId] of lastIds) {
      const user = this.#users.get(userId);
      if (user === undefined || lastId <= user.lastId) continue;
      user.lastId = lastId;
      user.announcements++;
      for (const follower of user.followers) follower.catchUp();
    }
  }

  async #readLastIds(): Promise<Map<number, number>> {
    // Before the read, so that a change during it is not lost.
    this.#foreignChange = false;
    try {
      return await this.#options.store.lastMailIds([...this.#users.keys()]);
    } catch (error) {
      this.#foreignChange = true;
      throw error;
    }
  }

  #forEach(visit: (follower: Follower) => void): void {
    for (const user of this.#users.values()) for (const follower of user.followers) visit(follower);
  }
}

function isRead(mail: AnnouncedMail): mail is MailRecord {
  return mail.content !== null;
}

function newUserFeed(): UserFeed {
  return { announcements: 0, lastId: 0, followers: new Set(), places: 0, look: Promise.resolve(), nextLook: null };
}
