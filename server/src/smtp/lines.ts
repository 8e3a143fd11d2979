const LF = 0x0a;
const CR = 0x0d;
const plain = /^[\x20-\x7e]*$/;
/** Enough of a line that is too long to see what it was meant to be. */
const headBytes = 64;
const control = /[\x00-\x1f\x7f]/;

/** Why a line is no command. After `bare_line_end` nothing that follows may be trusted to be a command. */
export type LineFault = "too_long" | "bare_line_end" | "bad_character" | "not_utf8";

/** One line without its CRLF. When there is a fault, only how it begins is told. */
export interface Line {
  readonly text: string;
  readonly fault: LineFault | null;
  /** Of a faulty line: see {@link isChunkLine}. */
  readonly isChunk?: true;
}

/** True for what can only be meant as BDAT (RFC 3030): octets of a mail come after the line. */
export function isChunkLine(text: string): boolean {
  return /^\s*BDAT/i.test(text);
}

/**
 * Cuts input into command lines (RFC 5321 section 2.3.8: CRLF and nothing else ends a line).
 * Holds at most `maxBytes` of an unfinished line; a longer one is read to its end and reported once.
 */
export class LineReader {
  /** Offset in the chunk just past what the last {@link read} used. */
  end = 0;
  readonly #maxBytes: number;
  #partial = "";
  #tooLong = false;
  /** How a line began that is too long. */
  #head = "";

  /** `maxBytes` includes the CRLF. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Reads one line from `start` on; `null` when the chunk ended first and the next one has to be given. */
  read(chunk: Buffer, start: number): Line | null {
    return this.#readWhole(chunk, start) ?? this.#readPart(chunk, start);
  }

  /** What nearly every command is: a line of printable ASCII that came at once. `null`: it may be anything else. */
  #readWhole(chunk: Buffer, start: number): Line | null {
    if (this.#partial !== "" || this.#tooLong) return null;
    const limit = Math.min(chunk.length, start + this.#maxBytes) - 1;
    let at = start;
    while (at < limit && isPrintable(chunk[at])) at++;
    if (chunk[at] !== CR || at >= limit || chunk[at + 1] !== LF) return null;
    this.end = at + 2;
    return { text: chunk.toString("latin1", start, at), fault: null };
  }

  #readPart(chunk: Buffer, start: number): Line | null {
    const lf = chunk.indexOf(LF, start);
    this.end = lf === -1 ? chunk.length : lf + 1;
    this.#collect(chunk, start);
    if (lf === -1) return null;
    const text = this.#partial;
    const tooLong = this.#tooLong;
    this.#partial = "";
    this.#tooLong = false;
    if (!text.endsWith("\r\n") || text.indexOf("\r") !== text.length - 2) return faulty("bare_line_end", "");
    return tooLong ? faulty("too_long", this.#head) : decode(text.slice(0, -2));
  }

  #collect(chunk: Buffer, start: number): void {
    if (!this.#tooLong && this.#partial.length + this.end - start > this.#maxBytes) {
      this.#tooLong = true;
      this.#head = (this.#partial + chunk.toString("latin1", start, Math.min(start + headBytes, this.end))).slice(
        0,
        headBytes,
      );
    }
    // Of a line that is too long only the last two bytes matter: is its end a CRLF?
    this.#partial = this.#tooLong
      ? (this.#partial + chunk.toString("latin1", Math.max(start, this.end - 2), this.end)).slice(-2)
      : this.#partial + chunk.toString("latin1", start, this.end);
  }
}

function isPrintable(byte = 0): boolean {
  return byte >= 0x20 && byte <= 0x7e;
}

function decode(latin1: string): Line {
  if (plain.test(latin1)) return { text: latin1, fault: null };
  if (control.test(latin1)) return faulty("bad_character", latin1);
  const bytes = Buffer.from(latin1, "latin1");
  const text = bytes.toString("utf8");
  return Buffer.from(text, "utf8").equals(bytes) ? { text, fault: null } : faulty("not_utf8", latin1);
}

function faulty(fault: LineFault, head: string): Line {
  return isChunkLine(head) ? { text: "", fault, isChunk: true } : { text: "", fault };
}
