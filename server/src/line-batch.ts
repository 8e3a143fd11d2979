/** Text that waits is written at once from here on. */
const maxChars = 65_536;

/**
 * Lines that go out in one write for each turn of the event loop: a write for each costs more than to make the line. Only
 * what the last turn brought is lost with a process that is killed; a caller that ends it calls {@link flush} first.
 */
export class LineBatch {
  readonly #write: (text: string) => void;
  #text = "";
  #isDue = false;

  /** `write` gets whole lines. What it throws comes out of {@link add} or as an uncaught exception. */
  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  /** Takes one line, its end included. */
  add(line: string): void {
    this.#text += line;
    if (this.#text.length >= maxChars) this.flush();
    else if (!this.#isDue) {
      this.#isDue = true;
      setImmediate(() => {
        this.#isDue = false;
        this.flush();
      });
    }
  }

  /** Writes what waits. */
  flush(): void {
    const text = this.#text;
    this.#text = "";
    if (text !== "") this.#write(text);
  }
}
