/** Questions in a row without any answer before it is asked whether a server is there at all. */
const suspiciousMisses = 6;
const firstPauseMs = 1000;
const maxPauseMs = 30_000;

/**
 * Tells DNS servers that are away from single names that do not answer: after some questions without an answer it sees for
 * itself, with a question that every server can answer. So nobody can switch look-ups off by sending mail from slow domains.
 */
export class ServerWatch {
  readonly #isThere: () => Promise<boolean>;
  #misses = 0;
  #pauseMs = firstPauseMs;
  /** `null`: not known to be away. */
  #awayUntilMs: number | null = null;
  #isLooking = false;

  /** `isThere` must not reject. */
  constructor(isThere: () => Promise<boolean>) {
    this.#isThere = isThere;
  }

  /** True while asking is in vain. Looks again now and then. */
  isAway(nowMs: number): boolean {
    if (this.#awayUntilMs === null) return false;
    if (nowMs >= this.#awayUntilMs) void this.#look();
    return true;
  }

  /** Takes note of a question that was answered, in whatever way, or was not. */
  note(answered: boolean, nowMs: number): void {
    if (answered) this.#isBack();
    else if (++this.#misses >= suspiciousMisses && !this.isAway(nowMs)) void this.#look();
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const isThere = await this.#isThere();
    this.#isLooking = false;
    if (isThere) {
      this.#isBack();
      return;
    }
    this.#awayUntilMs = performance.now() + this.#pauseMs;
    this.#pauseMs = Math.min(maxPauseMs, this.#pauseMs * 2);
  }

  #isBack(): void {
    this.#misses = 0;
    this.#pauseMs = firstPauseMs;
    this.#awayUntilMs = null;
  }
}
