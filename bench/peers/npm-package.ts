import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { NotMeasured } from "./not-measured.ts";
import type { PeerTools } from "./peer.ts";

const run = promisify(execFile);
const installMs = 300_000;

/**
 * A directory with these packages in exactly these versions, installed by npm without running their scripts unless they
 * are there already. Rejects with {@link NotMeasured} when npm cannot get them.
 */
export async function installPackages(
  { peersDir, signal }: PeerTools,
  name: string,
  dependencies: Readonly<Record<string, string>>,
): Promise<string> {
  const dir = join(peersDir, "npm", name);
  const wanted = `${JSON.stringify({ private: true, dependencies }, null, 2)}\n`;
  // Written only after an install that succeeded.
  const donePath = join(dir, "installed.json");
  if ((await readFile(donePath, "utf8").catch(() => "")) === wanted) return dir;
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, "package.json"), wanted);
  const args = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"];
  try {
    await run("npm", args, { cwd: dir, env: packageEnvironment(), timeout: installMs, signal });
  } catch (error) {
    signal.throwIfAborted();
    const said = (error as { stderr?: string }).stderr ?? String(error);
    throw new NotMeasured(`npm could not install it: ${said.trim().split("\n").slice(-3).join(" ")}`);
  }
  await writeFile(donePath, wanted);
  return dir;
}

/** What npm puts into the environment of our own script would make it install into our own repository. */
function packageEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(?:package|lifecycle|config_(?:local_)?prefix)/.test(name)),
  );
}
