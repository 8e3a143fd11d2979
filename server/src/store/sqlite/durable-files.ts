import { closeSync, fsyncSync, mkdirSync, openSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/**
 * Makes a directory (mode 0700) with all that is missing above it. Returns once every new entry is synced in its parent,
 * so that what is synced inside cannot be lost with the directory itself.
 */
export function makeDirectory(path: string): void {
  const made = mkdirSync(path, { recursive: true, mode: 0o700 });
  if (!statSync(path).isDirectory()) throw new Error(`${path} is not a directory.`);
  const top = made === undefined ? resolve(path) : resolve(made);
  let current = resolve(path);
  while (true) {
    syncPath(current);
    if (current === dirname(top) || current === dirname(current)) return;
    current = dirname(current);
  }
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
