import fc from "fast-check";
import { mutate } from "../support/hostile-mails.ts";
import { Random } from "../support/random.ts";
import { piecesOf, type Target } from "./target.ts";

/** Structured inputs made at a time, as fast-check costs less by the batch. */
const batch = 500;
const defaultMaxBytes = 2048;

/** An endless, repeatable source of inputs: a quarter structured as it comes, the rest seeds and structured ones with wounds. */
export class InputSource {
  readonly #random: Random;
  readonly #seeds: readonly Buffer[];
  readonly #structured: fc.Arbitrary<Buffer>;
  readonly #words: readonly string[];
  readonly #maxBytes: number;
  #batch: Buffer[] = [];
  #next = batch;

  constructor(target: Target, seed: number) {
    this.#random = new Random(seed);
    this.#seeds = target.seeds().map((text) => (typeof text === "string" ? Buffer.from(text, "latin1") : text));
    this.#structured = target.structured ?? piecesOf(target.words);
    this.#words = target.words;
    this.#maxBytes = target.maxBytes ?? defaultMaxBytes;
  }

  /** The next input, for the caller to keep or change. */
  next(): Buffer {
    const kind = this.#random.integer(0, 7);
    if (kind <= 1) return Buffer.from(this.#window(this.#nextStructured()));
    const origin = kind === 2 || this.#seeds.length === 0 ? this.#nextStructured() : this.#random.pick(this.#seeds);
    return mutate(this.#window(origin), this.#random, this.#words).subarray(0, this.#maxBytes);
  }

  #nextStructured(): Buffer {
    if (this.#next >= batch) {
      this.#batch = fc.sample(this.#structured, { numRuns: batch, seed: this.#random.integer(0, 2 ** 31) });
      this.#next = 0;
    }
    return this.#batch[this.#next++] ?? Buffer.alloc(0);
  }

  /** Sizes spread evenly over the powers of two, so that most are small; mostly the start of the origin. */
  #window(origin: Buffer): Buffer {
    const most = Math.min(origin.length, this.#maxBytes);
    const length = Math.min(most, Math.ceil(8 * (this.#maxBytes / 8) ** this.#random.fraction()));
    const start = this.#random.chance(0.8) ? 0 : this.#random.integer(0, origin.length - length);
    return origin.subarray(start, start + length);
  }
}
