import type { ByteBudget } from "./byte-budget.ts";
import { MailContent, type ContentRefusal, type ContentResult, type Spooling } from "./content.ts";
import { PlainLines } from "./plain-lines.ts";

const CR = 0x0d;
const LF = 0x0a;

/**
 * Reads the content of one mail that comes in counted chunks (BDAT, RFC 3030). Exactly the announced octets are content,
 * whatever they are, and the octet after them is not: a refused mail is read chunk by chunk all the same, holding
 * nothing. The result is the same however the octets are cut into reads or chunks. Linear in the input.
 *
 * BINARYMIME is not offered, so the content is text: a bare CR or LF, also across two chunks, refuses the mail.
 */
export class ChunkReader {
  /** Offset in the buffer just past what the last {@link read} used. */
  end = 0;
  readonly #content: MailContent;
  /** Octets of the open chunk that have not come yet. */
  #left = 0;
  #endsWithCr = false;

  /** `maxBytes`: largest content of all chunks together. Bytes are taken from `budget` as they come; see {@link heldBytes}. */
  constructor(maxBytes: number, budget: ByteBudget, spooling: Spooling | null = null) {
    this.#content = new MailContent(maxBytes, budget, spooling);
  }

  /** Content bytes so far, those of a refused mail included. */
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

  /** Why the mail will not be taken, as far as is known, and then for good. It may be known before the octets have come. */
  get refusal(): ContentRefusal | null {
    return this.#content.refusal;
  }

  /** True while octets of a chunk have to come: nothing else may be read. */
  get isOpen(): boolean {
    return this.#left > 0;
  }

  /** Opens a chunk; the last one has to be complete. */
  begin(bytes: number): void {
    this.#left = bytes;
    this.#content.expect(bytes);
  }

  /** Reads from `start` on; true when the chunk is complete. The buffer is given away: its bytes may be kept. */
  read(buffer: Buffer, start: number): boolean {
    const octets = buffer.subarray(start, start + this.#left);
    this.#left -= octets.length;
    this.end = start + octets.length;
    if (this.#content.refusal === null && !this.#hasGoodLineEnds(octets)) this.#content.refuse("bad_line_ends");
    this.#content.keep(octets);
    return this.#left === 0;
  }

  /** No chunk will follow. A mail may end without a line end, but not with half of one. */
  finish(): void {
    if (this.#content.refusal === null && this.#endsWithCr) this.#content.refuse("bad_line_ends");
  }

  /** See {@link MailContent.settle}. */
  settle(): Promise<void> | null {
    return this.#content.settle();
  }

  /** What was read, after {@link finish} and once {@link settle} is over. To be asked once. */
  take(): ContentResult {
    return this.#content.take();
  }

  /** Forgets everything and gives the budget back: the connection is gone, or the mail is done with. */
  release(): void {
    this.#content.release();
  }

  #hasGoodLineEnds(octets: Buffer): boolean {
    if (octets.length === 0) return true;
    if (this.#endsWithCr && octets[0] !== LF) return false;
    const at = this.#endsWithCr ? 1 : 0;
    this.#endsWithCr = false;
    const end = new PlainLines(octets).pass(at, false);
    if (end === octets.length) return true;
    this.#endsWithCr = end === octets.length - 1 && octets[end] === CR;
    return this.#endsWithCr;
  }
}
