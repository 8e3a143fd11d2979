import { closeSync, fsyncSync, mkdirSync, openSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { systemCodeOf } from "../../errors.ts";

/**
 * Makes a directory (mode 0700) with all that is missing above it. Returns once every new entry is synced in its parent,
 * so that what is synced inside cannot be lost with the directory itself. Throws with the path and the system's code in
 * the text when it cannot.
 */
export function makeDirectory(path: string): void {
  const made = makeOrExplain(path);
  if (!statSync(path).isDirectory()) throw new Error(`${path} is not a directory.`);
  const top = made ?? resolve(path);
  let current = resolve(path);
  while (true) {
    syncPath(current);
    if (current === dirname(top) || current === dirname(current)) return;
    current = dirname(current);
  }
}

function makeOrExplain(path: string): string | null {
  try {
    return makeMissing(resolve(path));
  } catch (error) {
    throw new Error(`Cannot make the directory ${path} (${systemCodeOf(error)}).`, { cause: error });
  }
}

/** Answers the topmost directory that was made. Node's own `recursive` never returns below `/proc` and its like. */
function makeMissing(path: string): string | null {
  const isMade = (): boolean => {
    try {
      mkdirSync(path, { mode: 0o700 });
      return true;
    } catch (error) {
      if (systemCodeOf(error) === "EEXIST") return false;
      throw error;
    }
  };
  try {
    return isMade() ? path : null;
  } catch (error) {
    if (systemCodeOf(error) !== "ENOENT" || dirname(path) === path) throw error;
  }
  const top = makeMissing(dirname(path));
  return isMade() ? (top ?? path) : top;
}

/**
 * Syncs a file or directory. Never for a database that may be open in this process: closing any handle of a file drops
 * all POSIX locks that the process holds on it.
 */
export function syncPath(path: string): void {
  const handle = openSync(path, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
