import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { installPackages } from "../npm-package.ts";
import { PeerProcess } from "../peer-process.ts";
import type { Peer, PeerStart, RunningPeer } from "../peer.ts";
import { freePort } from "../program.ts";

const run = promisify(execFile);
const version = "3.3.4";

/** Haraka's engine alone: it is a server to build upon, and has no store of its own. */
export const haraka: Peer = {
  name: "haraka",
  title: "Haraka, discards",
  settings:
    "Plugins `rcpt_to.in_host_list` and `queue/discard` only, one process, log level ERROR; it asks the DNS about each connection, which cannot be turned off",
  storage: "nowhere",
  keeps: "Nothing: it throws every mail away.",
  isDurable: false,
  prepare: async (tools) => {
    const packages = await installPackages(tools, "haraka", { Haraka: version });
    return { version, start: (options) => start(packages, options) };
  },
};

async function start(packages: string, { dir, recipients, tracePath, signal }: PeerStart): Promise<RunningPeer> {
  const port = await freePort();
  const program = join(packages, "node_modules/Haraka/bin/haraka");
  const place = join(dir, "haraka");
  await run(process.execPath, [program, "--install", place]);
  const domains = [...new Set(recipients.map((address) => address.slice(address.indexOf("@") + 1)))];
  const files = {
    "smtp.ini": `listen=127.0.0.1:${port}\n`,
    "log.ini": "[main]\nlevel=ERROR\n",
    host_list: `${domains.join("\n")}\n`,
    plugins: "rcpt_to.in_host_list\nqueue/discard\n",
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(place, "config", name), text);
  const server = await PeerProcess.start({
    port,
    command: process.execPath,
    args: [program, "-c", place],
    cwd: place,
    env: { YES_REALLY_DO_DISCARD: "1" },
    logPath: join(dir, "log"),
    tracePath,
    signal,
  });
  return {
    smtp: { host: "127.0.0.1", port },
    process: server,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
