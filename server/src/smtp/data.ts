import type { ByteBudget } from "./byte-budget.ts";
import { MailContent, type ContentResult, type Spooling } from "./content.ts";
import { WholeLines } from "./whole-lines.ts";

const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;
/**
 * Bytes of a line looked at one by one before `indexOf` takes over. Two native calls cost as much as some 30 bytes here,
 * so short lines would be slower with them and long ones are up to 10 times faster (measured on Node 24).
 */
const nearBytes = 16;

/** A chunk shorter than this is read line by line: looking for whole lines first would not pay. */
const wholeLinesBytes = 256;

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
  #nextCr = -1;
  #nextLf = -1;

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
    this.#nextCr = this.#nextLf = -1;
    const lines = chunk.length - start < wholeLinesBytes ? null : new WholeLines(chunk);
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
        at = this.#skipLines(lines, at) ?? this.#step(chunk, at);
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

  /** Goes past whole lines that need no look; `null` where there are none. */
  #skipLines(lines: WholeLines | null, at: number): number | null {
    if (lines === null || (this.#place !== "line_start" && this.#place !== "in_line")) return null;
    const end = lines.endFrom(at);
    if (end === at) return null;
    this.#place = "line_start";
    return end;
  }

  /** Goes on to the next byte that matters, from any place but the two that `read` handles. */
  #step(chunk: Buffer, at: number): number {
    const byte = chunk[at];
    if (this.#place === "in_line") return this.#skipLine(chunk, at);
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

  #skipLine(chunk: Buffer, from: number): number {
    const near = Math.min(from + nearBytes, chunk.length);
    let at = from;
    while (at < near && chunk[at] !== CR && chunk[at] !== LF) at++;
    if (at === near) {
      // Found once and kept until passed: asking again for each line is quadratic on a chunk that has only one of them.
      if (this.#nextCr < at) this.#nextCr = find(chunk, CR, at);
      if (this.#nextLf < at) this.#nextLf = find(chunk, LF, at);
      at = Math.min(this.#nextCr, this.#nextLf);
      if (at === chunk.length) return at;
    }
    if (chunk[at] === CR) this.#place = "after_cr";
    else this.#content.refuse("bad_line_ends");
    return at + 1;
  }

  #stop(content: Buffer, end: number): true {
    this.#content.keep(content);
    this.end = end;
    return true;
  }
}

function find(chunk: Buffer, byte: number, from: number): number {
  const found = chunk.indexOf(byte, from);
  return found === -1 ? chunk.length : found;
}

/** Moves a run of bytes down to `to`; returns where it ends there. */
function moveDown(chunk: Buffer, to: number, from: number, end: number): number {
  if (to !== from) chunk.copyWithin(to, from, end);
  return to + end - from;
}
