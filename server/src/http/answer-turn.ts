/** Longest that an answer is held back, but for the making of one other. */
const maxHeldMs = 1;

/**
 * Has the answers of a turn of the event loop written together, at its end. Each write wakes a client, which then takes the
 * processor from the requests that have come from others: all input first and all output after it costs a quarter less of it
 * for a list, and a client gets its answer sooner (measured with 4 connections). A lone client waits no longer.
 */
export class AnswerTurn {
  #turn: PromiseWithResolvers<void> | null = null;
  #sinceMs = 0;

  /** Resolves when an answer that is ready may be written: at the end of this turn, or as soon as one has been held for too long. */
  over(): Promise<void> {
    const nowMs = performance.now();
    const turn = this.#turn ?? this.#begin(nowMs);
    if (nowMs - this.#sinceMs >= maxHeldMs) this.#end();
    return turn.promise;
  }

  #begin(nowMs: number): PromiseWithResolvers<void> {
    const turn = Promise.withResolvers<void>();
    this.#turn = turn;
    this.#sinceMs = nowMs;
    setImmediate(() => this.#end());
    return turn;
  }

  #end(): void {
    this.#turn?.resolve();
    this.#turn = null;
  }
}
