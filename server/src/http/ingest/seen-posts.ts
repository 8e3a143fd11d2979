import { Refusal } from "../../errors.ts";

/** What makes a post one and the same, however often it comes. */
export interface PostIdentity {
  /** Whatever a replay cannot change: bounded in length by whoever makes it. */
  id: string;
  /** When its sender signed it, by the sender's word. */
  signedAtMs: number;
}

export interface SeenPostsOptions {
  /** How old a signature may be: longer than the provider goes on trying. */
  windowMs: number;
  maxPosts: number;
}

/** How far ahead of ours a sender's clock may be. */
const maxAheadMs = 5 * 60_000;
const retryAfterSeconds = 10;

/** A post that is being worked on. */
export interface OpenPost {
  /** Addresses that have this post's mail already: an earlier try stored it for them, but not for everybody. */
  readonly stored: ReadonlySet<string>;
  /** It is stored for these as well. */
  keep(addresses: readonly string[]): void;
  /** Nothing of it is worth another try: a post of the same identity is a replay from now on. */
  finish(): void;
}

interface SeenPost {
  signedAtMs: number;
  stored: Set<string>;
  state: "open" | "waiting" | "finished";
}

/**
 * Remembers posts for as long as their signatures count, so that none of them is taken twice. Bounded: beyond `maxPosts` the
 * oldest are forgotten, and from then on nothing that was signed before them counts any more. It lives in memory, so
 * a restart forgets.
 */
export class SeenPosts {
  readonly #options: SeenPostsOptions;
  /** Oldest arrival first. */
  readonly #posts = new Map<string, SeenPost>();
  #forgottenUntilMs = 0;

  constructor(options: SeenPostsOptions) {
    this.#options = options;
  }

  /**
   * Runs `work` for a post. Throws `signature_expired` outside the window, `post_replayed` when it was finished before, and
   * `unavailable` while it is still being worked on: the first try may fail yet, and then the second one is needed.
   */
  async once<T>(identity: PostIdentity, nowMs: number, work: (post: OpenPost) => Promise<T>): Promise<T> {
    const post = this.#open(identity, nowMs);
    try {
      return await work({
        stored: post.stored,
        keep: (addresses) => addresses.forEach((address) => post.stored.add(address)),
        finish: () => {
          post.state = "finished";
        },
      });
    } finally {
      if (post.state === "open") {
        post.state = "waiting";
        if (post.stored.size === 0) this.#posts.delete(identity.id);
      }
    }
  }

  #open({ id, signedAtMs }: PostIdentity, nowMs: number): SeenPost {
    const oldestMs = Math.max(nowMs - this.#options.windowMs, this.#forgottenUntilMs + 1);
    if (!(signedAtMs >= oldestMs && signedAtMs <= nowMs + maxAheadMs)) throw new Refusal("signature_expired");
    const known = this.#posts.get(id);
    if (known?.state === "finished") throw new Refusal("post_replayed");
    if (known?.state === "open") throw new Refusal("unavailable", { retryAfterSeconds });
    const post: SeenPost = known ?? { signedAtMs, stored: new Set(), state: "open" };
    post.state = "open";
    this.#posts.set(id, post);
    this.#forget(nowMs);
    return post;
  }

  /** Drops what is too old to count, and the oldest beyond the limit. */
  #forget(nowMs: number): void {
    for (const [id, { signedAtMs, state }] of this.#posts) {
      const isOver = signedAtMs < nowMs - this.#options.windowMs;
      if (state === "open" || (!isOver && this.#posts.size <= this.#options.maxPosts)) return;
      this.#posts.delete(id);
      if (!isOver) this.#forgottenUntilMs = Math.max(this.#forgottenUntilMs, signedAtMs);
    }
  }
}
