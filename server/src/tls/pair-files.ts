import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { systemCodeOf } from "../errors.ts";

/** Where the chain and the key of one certificate are; the same file where one holds both. */
export interface PairFiles {
  certFile: string;
  keyFile: string;
}

/** Pairs of one directory that are looked at. */
const maxPairs = 1_000;

/**
 * Every pair in a directory and in the directories right below it, by name: `fullchain.pem` with `privkey.pem`, and
 * `NAME.crt` or `NAME.pem` with `NAME.key`. Names that begin with a dot are passed over. Rejects with the system's fault
 * when the directory cannot be read; one below it that cannot counts as empty. At most 1,000 pairs.
 */
export async function findPairs(directory: string): Promise<PairFiles[]> {
  const names = await namesIn(directory);
  const pairs = pairsAmong(directory, names);
  for (const name of names) {
    if (pairs.length >= maxPairs) break;
    // A file's name has an ending, and so have domains: only trying tells them apart where links are followed.
    const below = join(directory, name);
    pairs.push(...pairsAmong(below, await namesIn(below).catch(() => [])));
  }
  return pairs.slice(0, maxPairs);
}

async function namesIn(directory: string): Promise<string[]> {
  const names = await readdir(directory);
  return names.filter((name) => !name.startsWith(".")).toSorted();
}

function pairsAmong(directory: string, names: readonly string[]): PairFiles[] {
  const known = new Set(names);
  return names.flatMap((name) => {
    const keyName = name === "fullchain.pem" ? "privkey.pem" : name.replace(/\.(?:crt|pem)$/, ".key");
    if (keyName === name || !known.has(keyName)) return [];
    return [{ certFile: join(directory, name), keyFile: join(directory, keyName) }];
  });
}

/**
 * A text that changes when either file does, or what a link on its way points to; `null` while one of them is absent.
 * Rejects with the system's fault for any other reason that they cannot be looked at.
 */
export async function stampOf({ certFile, keyFile }: PairFiles): Promise<string | null> {
  try {
    const stats = await Promise.all([certFile, keyFile].map((file) => stat(file, { bigint: true })));
    return stats.map(({ dev, ino, size, mtimeNs, ctimeNs }) => [dev, ino, size, mtimeNs, ctimeNs].join()).join();
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return null;
    throw error;
  }
}
