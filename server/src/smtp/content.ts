import type { ByteBudget } from "./byte-budget.ts";
import { Pieces } from "./pieces.ts";

/** Why the content of a mail is not taken. */
export type ContentRefusal = "bad_line_ends" | "too_large" | "no_room";

export type ContentResult = { kind: "mail"; raw: Buffer<ArrayBuffer> } | { kind: ContentRefusal };

/**
 * What has arrived of one mail, whichever command brings it: counted against its limit and the budget as it comes, and
 * held once. Once refused it holds nothing and only counts on.
 */
export class MailContent {
  /** Content bytes so far, those of a refused mail included. */
  bytes = 0;
  readonly #maxBytes: number;
  readonly #budget: ByteBudget;
  readonly #pieces = new Pieces();
  #heldBytes = 0;
  #refusal: ContentRefusal | null = null;

  /** `maxBytes`: largest content. A refusal gives the budget back at once, whoever ends the mail otherwise has to. */
  constructor(maxBytes: number, budget: ByteBudget) {
    this.#maxBytes = maxBytes;
    this.#budget = budget;
  }

  get refusal(): ContentRefusal | null {
    return this.#refusal;
  }

  /** Bytes taken from the budget. A refusal gives them back at once, whoever ends the mail otherwise has to. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Refuses the mail at once where so many more bytes could not be kept: they come all the same. */
  expect(bytes: number): void {
    if (this.bytes + bytes > this.#maxBytes) this.refuse("too_large");
    else if (!this.#budget.fits(bytes)) this.refuse("no_room");
  }

  /** Takes the next bytes, which must not be changed afterwards. */
  keep(content: Buffer): void {
    this.bytes += content.length;
    if (this.bytes > this.#maxBytes) this.refuse("too_large");
    if (this.#refusal !== null || content.length === 0) return;
    if (!this.#budget.take(content.length)) return this.refuse("no_room");
    this.#heldBytes += content.length;
    this.#pieces.add(content);
  }

  /** Drops what is held; what still comes is counted only. The first reason stays, but for bad line ends, which win. */
  refuse(why: ContentRefusal): void {
    if (this.#refusal === null || why === "bad_line_ends") this.#refusal = why;
    this.release();
  }

  /** The whole mail, or why there is none. To be asked once. */
  take(): ContentResult {
    return this.#refusal === null ? { kind: "mail", raw: this.#pieces.take() } : { kind: this.#refusal };
  }

  /** Forgets everything and gives the budget back: the connection is gone, or the mail is done with. */
  release(): void {
    this.#pieces.clear();
    this.#budget.give(this.#heldBytes);
    this.#heldBytes = 0;
  }
}
