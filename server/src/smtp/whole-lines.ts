/** Fewer bytes than this at a time cost more here than line by line. */
const minBytes = 128;

/**
 * Finds lines of content that need no look at their bytes, many at a time. The platform's searches in strings take a third of
 * the time that one for each line end takes, and where an input is written to defeat them they are asked once.
 */
export class WholeLines {
  readonly #text: string;
  #isGivenUp = false;

  constructor(chunk: Buffer) {
    this.#text = chunk.toString("latin1");
  }

  /**
   * Where the whole lines from `start` on end that CRLF ends, in which neither CR nor LF stands alone, and of which none but the
   * first may begin with a dot; `start` where there are none. To be asked with growing offsets: then linear in all.
   */
  endFrom(start: number): number {
    if (this.#isGivenUp) return start;
    const text = this.#text;
    const dot = text.indexOf("\r\n.", start);
    const end = dot === -1 ? text.lastIndexOf("\n") + 1 : dot + 2;
    this.#isGivenUp = end - start < minBytes;
    if (this.#isGivenUp) return start;
    const rest = text.slice(start, end).replace(/\r\n/g, "");
    this.#isGivenUp = rest.includes("\r") || rest.includes("\n");
    return this.#isGivenUp ? start : end;
  }
}
