import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { NotMeasured } from "./not-measured.ts";

const run = promisify(execFile);

/** Where Debian keeps what only root runs, which is not in everybody's PATH. */
const systemDirectories = ["/usr/local/sbin", "/usr/sbin"];

/** The path of a program: what its variable says, else where PATH has it. Throws {@link NotMeasured}. */
export function findProgram(name: string, variable: string | null): string {
  const said = variable === null ? undefined : process.env[variable];
  if (said !== undefined && said !== "") {
    if (isProgram(said)) return said;
    throw new NotMeasured(`${variable ?? name} names no program`);
  }
  const directories = [...(process.env["PATH"] ?? "").split(":"), ...systemDirectories];
  const path = directories.map((directory) => join(directory, name)).find(isProgram);
  if (path !== undefined) return path;
  throw new NotMeasured(`\`${name}\` is not on PATH${variable === null ? "" : `, and ${variable} does not name it`}`);
}

/** What a program says of its version: the first match in what it prints; "unknown" without one. */
export async function versionOf(command: string, args: readonly string[], pattern: RegExp): Promise<string> {
  // Some look for a newer one as well and then end with a fault.
  const printed = await run(command, [...args], { timeout: 20_000 }).catch(
    (error: { stdout?: string; stderr?: string }) => error,
  );
  const match = pattern.exec(`${printed.stdout ?? ""}${printed.stderr ?? ""}`);
  return match?.[1] ?? "unknown";
}

/** A port of the loopback that nobody listened on a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const listening = Promise.withResolvers<void>();
  server.once("error", listening.reject).listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  const address = server.address();
  const closed = Promise.withResolvers<void>();
  server.close(() => closed.resolve());
  await closed.promise;
  if (address === null || typeof address === "string") throw new Error("No port is free");
  return address.port;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
