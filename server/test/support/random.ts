/** Random numbers that come again with the same seed, so that a failed run can be repeated. */
export class Random {
  readonly seed: number;
  #state: number;

  /** Without a seed it is `FAULTS_SEED` of the environment, else chance. */
  constructor(seed = Number(process.env["FAULTS_SEED"] ?? Math.floor(Math.random() * 2 ** 31))) {
    this.seed = seed;
    this.#state = seed >>> 0;
  }

  /** From 0 up to, but not including, 1 (mulberry32). */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number, both ends included. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.fraction() * (max - min + 1));
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T {
    const item = list[this.integer(0, list.length - 1)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  }

  /** Some of a list, at least one, in its order. */
  some<T>(list: readonly T[], most: number): T[] {
    const count = this.integer(1, Math.min(most, list.length));
    const left = [...list];
    return Array.from({ length: count }, () => left.splice(this.integer(0, left.length - 1), 1)).flat();
  }
}
