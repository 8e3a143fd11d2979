import type { ByteBudget } from "./byte-budget.ts";
import { MailContent, type ContentResult, type Spooling } from "./content.ts";
import { PlainLines } from "./plain-lines.ts";

const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;

/** Where in the content the next byte stands. The names say what came just before it. */
type Place = "line_start" | "in_line" | "after_cr" | "after_dot" | "after_dot_cr";

/**
 * Reads the content of one mail after 354 (RFC 5321 sections 4.1.1.4 and 4.5.2): only CRLF.CRLF ends it, leading dots
 * are unstuffed, everything else stays byte-exact. The result is the same however the bytes are cut into chunks.
 *
 * A refused mail (bare CR or LF, too large, no room) is read to its end all the same, holding nothing, so that no byte
 * of it is ever taken for a command. Linear in the input; holds the content once, until the end copies it, or spools it.
 */
export class DataReader {
  /** Offset in the chunk just past what the last {@link read} used. */
  end = 0;
  readonly #content: MailContent;
  #place: Place = "line_start";

  /** `maxBytes`: largest content. Bytes are taken from `budget` as they come; see {@link heldBytes}. */
  constructor(maxBytes: number, budget: ByteBudget, spooling: Spooling | null = null) {
    this.#content = new MailContent(maxBytes, budget, spooling);
  }

  /** Content bytes so far, dots unstuffed, those of a refused mail included. */
  get bytes(): number {
    return this.#content.bytes;
  }

  /** Bytes taken from the budget. A refusal gives them back at once, whoever ends the mail otherwise has to. */
  get heldBytes(): number {
    return this.#content.heldBytes;
  }

  /** See {@link MailContent.holdUp}. */
  get holdUp(): Promise<void> | null {
    return this.#content.holdUp;
  }

  /** True once a bare CR or LF was met: the client will perhaps never send an end that counts. */
  get hasBadLineEnds(): boolean {
    return this.#content.refusal === "bad_line_ends";
  }

  /** Reads from `start` on; true when the end was met. The chunk is given away: its bytes may be moved and kept. */
  read(chunk: Buffer, start: number): boolean {
    const lines = new PlainLines(chunk);
    // Bytes from `start` to `kept` are content; those from `runStart` to `at` will be, and move down over dropped dots.
    let kept = start;
    let runStart = start;
    let at = start;
    while (at < chunk.length) {
      if (this.#place === "line_start" && chunk[at] === DOT) {
        kept = moveDown(chunk, kept, runStart, at);
        runStart = ++at;
        this.#place = "after_dot";
      } else if (this.#place === "after_dot_cr" && chunk[at] === LF) {
        return this.#stop(chunk.subarray(start, kept), at + 1);
      } else {
        at = this.#place === "in_line" ? this.#passLines(lines, chunk, at) : this.#step(chunk, at);
      }
    }
    // The CR of an end that is split over two chunks is not content.
    const runEnd = this.#place === "after_dot_cr" ? Math.max(runStart, chunk.length - 1) : chunk.length;
    kept = moveDown(chunk, kept, runStart, runEnd);
    this.#stop(chunk.subarray(start, kept), chunk.length);
    return false;
  }

  /** See {@link MailContent.settle}. */
  settle(): Promise<void> | null {
    return this.#content.settle();
  }

  /** What was read, once {@link read} returned true and {@link settle} is over. To be asked once. */
  take(): ContentResult {
    return this.#content.take();
  }

  /** Forgets everything and gives the budget back: the connection is gone, or the mail is done with. */
  release(): void {
    this.#content.release();
  }

  /** Goes on to the next line that begins with a dot, or past the next byte that is out of place, or to the end of the chunk. */
  #passLines(lines: PlainLines, chunk: Buffer, from: number): number {
    const at = lines.pass(from, true);
    if (lines.isAtLineStart) this.#place = "line_start";
    if (at === chunk.length || chunk[at] === DOT) return at;
    if (chunk[at] === CR) this.#place = "after_cr";
    else {
      this.#place = "in_line";
      this.#content.refuse("bad_line_ends");
    }
    return at + 1;
  }

  /** Goes on to the next byte that matters, from any place but those that `read` handles. */
  #step(chunk: Buffer, at: number): number {
    const byte = chunk[at];
    if (this.#place === "after_cr" && byte === LF) {
      this.#place = "line_start";
      return at + 1;
    }
    if (this.#place === "after_dot" && byte === CR) {
      this.#place = "after_dot_cr";
      return at + 1;
    }
    if (this.#place === "after_cr" || this.#place === "after_dot_cr") this.#content.refuse("bad_line_ends");
    this.#place = "in_line";
    return at;
  }

  #stop(content: Buffer, end: number): true {
    this.#content.keep(content);
    this.end = end;
    return true;
  }
}

/** Moves a run of bytes down to `to`; returns where it ends there. */
function moveDown(chunk: Buffer, to: number, from: number, end: number): number {
  if (to !== from) chunk.copyWithin(to, from, end);
  return to + end - from;
}
