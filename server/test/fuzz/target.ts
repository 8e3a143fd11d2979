import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { mailFiles } from "../support/corpora.ts";
import { hostileMails } from "../support/hostile-mails.ts";
import { Random } from "../support/random.ts";

/** One parser of foreign bytes under fuzz. To add one: a file in `targets/`, and a line in `targets.ts`. */
export interface Target {
  /** Kebab-case, as given to `--target`. */
  readonly name: string;
  /** What holds for every input. */
  readonly promise: string;
  /** Good and bad inputs to begin with; the corpora add to them where a target wants them. Called once. */
  seeds(): readonly (string | Buffer)[];
  /** Pieces that mean something to the parser; octets are written as Latin-1. */
  readonly words: readonly string[];
  /** Inputs with a structure; without it they are runs of `words` and noise. */
  readonly structured?: fc.Arbitrary<Buffer>;
  /** Largest input, at most {@link largestInputBytes}; 2048 without it. Most inputs are far smaller. */
  readonly maxBytes?: number;
  /** Throws, or rejects, when the promise is broken. A pure function of the input, so that a failure comes again. */
  check(input: Buffer): void | Promise<void>;
}

/** What one input may ever take: it has to fit where the watchdog can read it. */
export const largestInputBytes = 65_536;

/** Runs of words and noise. */
export function piecesOf(words: readonly string[], maxPieces = 24): fc.Arbitrary<Buffer> {
  const piece = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...words) },
    {
      weight: 1,
      arbitrary: fc.string({ unit: "binary", maxLength: 8 }).map((text) => Buffer.from(text).toString("latin1")),
    },
  );
  return fc.array(piece, { maxLength: maxPieces }).map((pieces) => Buffer.from(pieces.join(""), "latin1"));
}

/** A source of chance that depends on the input alone. */
export function chanceOf(input: Buffer): Random {
  let hash = 0x811c9dc5;
  for (const octet of input) hash = Math.imul(hash ^ octet, 0x01000193);
  return new Random(hash >>> 0);
}

/** Longest input that is cut at each of its places. */
const everyCutBytes = 24;

/**
 * Ways to cut the input into chunks, each a copy: octet by octet, some at random, and for a short one every cut in two.
 * The whole is not among them.
 */
export function* splitsOf(input: Buffer): Generator<Buffer[]> {
  if (input.length <= 256) yield Array.from(input, (octet) => Buffer.of(octet));
  if (input.length <= everyCutBytes) {
    for (let at = 1; at < input.length; at++) yield chunksOf(input, [at]);
  }
  const random = chanceOf(input);
  for (let i = 0; i < 2; i++) {
    const cuts = Array.from({ length: random.integer(1, 6) }, () => random.integer(0, input.length));
    yield chunksOf(
      input,
      cuts.toSorted((a, b) => a - b),
    );
  }
}

function chunksOf(input: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts, input.length];
  return places.slice(1).map((place, i) => Buffer.from(input.subarray(places[i], place)));
}

/** Fails for text that UTF-8 cannot say, and for text longer than `maxChars`. */
export function assertText(text: string, maxChars: number): void {
  assert.ok(text.isWellFormed(), "text is well-formed");
  assert.ok(text.length <= maxChars, `${text.length} characters, at most ${maxChars} are promised`);
}

/** Mails to begin with: those of the corpora that are here, and the hostile ones. Cut, as most inputs are small. */
export function mailSeeds(): Buffer[] {
  const corpora = mailFiles().map((file) => readFileSync(file).subarray(0, largestInputBytes));
  return [...corpora, ...Object.values(hostileMails).map((make) => make(4096))];
}
