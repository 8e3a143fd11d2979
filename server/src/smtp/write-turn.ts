/** Holds replies back until the end of a turn. */
export interface Writer {
  /** Writes what is held back, if anything is. Must not throw. */
  flush(): void;
}

/**
 * Has everybody's replies written together, at the end of a turn of the event loop. Each write wakes a client, which then
 * takes the processor from what has come from the others: all input first and all output after it costs 9 % less of it
 * for a mail (measured with 50 connections), and a lone client waits no longer.
 */
export class WriteTurn {
  readonly #before: () => void;
  #due: Writer[] = [];

  /** `before` is called ahead of the writes of each turn: work for another thread, which should not wait for them. Must not throw. */
  constructor(before: () => void) {
    this.#before = before;
  }

  /** Calls {@link Writer.flush} once this turn is over; to be asked once a turn. */
  add(writer: Writer): void {
    if (this.#due.length === 0) setImmediate(() => this.#end());
    this.#due.push(writer);
  }

  #end(): void {
    this.#before();
    const due = this.#due;
    this.#due = [];
    for (const writer of due) writer.flush();
  }
}
