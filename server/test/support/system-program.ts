import { existsSync } from "node:fs";
import { join } from "node:path";

/** Where Debian keeps what only root runs, which is not in everybody's PATH. */
const systemDirectories = ["/usr/local/sbin", "/usr/sbin"];

/** The path of a program of the system, or `null` where it is not installed. */
export function findProgram(name: string): string | null {
  const directories = [...(process.env["PATH"] ?? "").split(":"), ...systemDirectories];
  return directories.map((directory) => join(directory, name)).find((path) => existsSync(path)) ?? null;
}

/** Why a test that runs this program as root has to be skipped, for `skip`; `false` where it can run. */
export function skipWithoutRootProgram(name: string): string | false {
  if (findProgram(name) === null) return `${name} is not installed`;
  return process.getuid?.() === 0 ? false : `${name} runs its own instance as root only`;
}
