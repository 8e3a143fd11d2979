import { readFileSync } from "node:fs";
import { filesBelow } from "../support/corpora.ts";

const windowLength = 16;

/** Everything that would give a key away: any 16 characters of its secret, as they are. */
export function needlesOf(key: string, options: { publicCharacters: number }): string[] {
  const secret = key.slice(options.publicCharacters);
  return Array.from({ length: secret.length - windowLength + 1 }, (_, at) => secret.slice(at, at + windowLength));
}

/** Names of those haystacks that hold a needle. */
export function findNeedles(haystacks: ReadonlyMap<string, string>, needles: readonly string[]): string[] {
  return [...haystacks].filter(([, text]) => needles.some((needle) => text.includes(needle))).map(([name]) => name);
}

/** Every file below a directory, byte for byte as latin1. */
export function filesIn(directory: string): Map<string, string> {
  return new Map(filesBelow(directory).map((path) => [path, readFileSync(path, "latin1")]));
}
