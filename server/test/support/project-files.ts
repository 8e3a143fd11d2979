import { readdirSync, readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";

/** Root of the repository. */
export const projectRoot = resolve(import.meta.dirname, "../../..");

const skippedNames = new Set(["node_modules", ".git", "catmails-data", "package-lock.json"]);
const skippedPaths = new Set(["bench/results"]);

/** Paths of all files of the project, relative to its root and sorted; nothing that is installed, built or kept by a run. */
export function listProjectFiles(): string[] {
  return walk(projectRoot).toSorted();
}

/** Text of one file of the project. Throws when it is not there. */
export function readProjectFile(path: string): string {
  return readFileSync(join(projectRoot, path), "utf8");
}

function walk(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (skippedNames.has(entry.name) || skippedPaths.has(relative(projectRoot, path))) return [];
    if (entry.isDirectory()) return walk(path);
    return entry.isFile() ? [relative(projectRoot, path)] : [];
  });
}
