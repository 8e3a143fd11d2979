import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { installPackages } from "../npm-package.ts";
import { PeerProcess } from "../peer-process.ts";
import type { Peer, PeerStart, RunningPeer, StoredMails } from "../peer.ts";
import { freePort } from "../program.ts";

const packages = { "smtp-server": "3.21.6", mailparser: "3.14.2" };
const program = fileURLToPath(new URL("./obvious-node-server.ts", import.meta.url));

/** What one would write first in Node. */
export const obviousNode: Peer = {
  name: "obvious-node",
  title: "Obvious server in Node",
  settings:
    "smtp-server and mailparser with `disableReverseLookup`; `node:sqlite` with a write-ahead log and `synchronous=FULL`, a transaction for each mail",
  storage: "disk",
  keeps: "Every mail that was acknowledged.",
  isDurable: true,
  prepare: async (tools) => {
    const dir = await installPackages(tools, "obvious-node", packages);
    const version = Object.entries(packages).map((one) => one.join(" "));
    return { version: version.join(", "), start: (options) => start(dir, options) };
  },
};

async function start(packagesDir: string, { dir, tracePath, signal }: PeerStart): Promise<RunningPeer> {
  const port = await freePort();
  const database = join(dir, "mails.db");
  const server = await PeerProcess.start({
    port,
    command: process.execPath,
    args: ["--disable-warning=ExperimentalWarning", program, packagesDir, String(port), database],
    cwd: dir,
    logPath: join(dir, "log"),
    tracePath,
    signal,
  });
  return {
    smtp: { host: "127.0.0.1", port },
    process: server,
    stored: storedMails(database),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function storedMails(path: string): StoredMails {
  return {
    count() {
      using database = new DatabaseSync(path, { readOnly: true });
      const row = database.prepare("SELECT count(*) AS mails FROM mail").get();
      return Promise.resolve(Number(row?.["mails"]));
    },
    async *read(limit) {
      using database = new DatabaseSync(path, { readOnly: true });
      const rows = database.prepare("SELECT raw FROM mail LIMIT ?").iterate(limit);
      for (const { raw } of rows) if (raw instanceof Uint8Array) yield await Promise.resolve(raw);
    },
  };
}
