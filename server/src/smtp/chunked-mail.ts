import type { ByteBudget } from "./byte-budget.ts";
import { ChunkReader } from "./chunks.ts";
import type { Spooling } from "./content.ts";
import { chunkTaken, isError, replies, type Reply } from "./replies.ts";
import type { Transaction } from "./transaction.ts";

/** What a complete chunk comes to; `whole`: it was the last one, and the mail can be delivered. */
export type ChunkOutcome = { kind: "whole" } | { kind: "taken" | "refused"; reply: Reply; isNewError: boolean };

/**
 * One mail that comes in by BDAT (RFC 3030), from its first chunk on. Once a chunk is refused all that follow are, to the
 * last one; all of them are read to their end, because their octets come whatever we answer.
 */
export class ChunkedMail {
  readonly reader: ChunkReader;
  readonly #transaction: Transaction | null;
  #refusal: Reply | null;
  #isTold = false;
  #chunkBytes = 0;
  #isLast = false;

  /** `refusal`: why no chunk can be taken at all, as when there is no `transaction`; otherwise `null`. */
  constructor(
    mail: { transaction: Transaction | null; refusal: Reply | null },
    limits: { maxBytes: number; budget: ByteBudget; spooling: Spooling | null },
  ) {
    this.#transaction = mail.transaction;
    this.#refusal = mail.refusal;
    // With a limit of 0 nothing is kept.
    this.reader = new ChunkReader(mail.refusal === null ? limits.maxBytes : 0, limits.budget, limits.spooling);
  }

  get isRefused(): boolean {
    return this.#refusal !== null;
  }

  /** The open chunk, or the one that was complete last, ends the mail. */
  get isLast(): boolean {
    return this.#isLast;
  }

  /** Opens a chunk; the one before has to be complete. */
  begin(chunk: { bytes: number; isLast: boolean }): void {
    this.#chunkBytes = chunk.bytes;
    this.#isLast = chunk.isLast;
    this.reader.begin(chunk.bytes);
  }

  /** Says what becomes of a complete chunk. A mail that is refused is counted and logged once. */
  endChunk(): ChunkOutcome {
    if (this.#isLast) this.reader.finish();
    this.#refusal ??= this.#refuse();
    if (this.#refusal === null) {
      if (this.#isLast) return { kind: "whole" };
      return { kind: "taken", reply: chunkTaken(this.#chunkBytes), isNewError: false };
    }
    // Chunks that were sent ahead are refused like the first, but it is one error.
    const isNewError = isError(this.#refusal) && !this.#isTold;
    this.#isTold = true;
    const isEnd = this.#isLast && this.#transaction !== null;
    const reply = isEnd ? this.#transaction.atEnd(this.#refusal) : this.#refusal;
    return { kind: "refused", reply, isNewError };
  }

  #refuse(): Reply | null {
    const why = this.reader.refusal;
    if (why === null || this.#transaction === null) return null;
    const reply = this.#transaction.refuse(why, this.reader.bytes);
    // Octets are counted, so what follows can be trusted to be a command, unlike with DATA.
    return why === "bad_line_ends" ? replies.badChunkLineEnd : reply;
  }
}
