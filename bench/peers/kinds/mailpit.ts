import { join } from "node:path";
import { PeerProcess } from "../peer-process.ts";
import type { Peer, PeerStart, RunningPeer, StoredMails } from "../peer.ts";
import { findProgram, freePort, versionOf } from "../program.ts";

/** https://mailpit.axllent.org/docs/configuration/runtime-options/ */
const settings = ["--max", "0", "--max-message-size", "0", "--smtp-disable-rdns", "--disable-version-check", "--quiet"];

/** Mailpit, which is the nearest to us in what it is for. */
export const mailpit: Peer = {
  name: "mailpit",
  title: "Mailpit",
  settings: `\`--database\` on the disk, ${settings.join(" ").replaceAll(/--\S+(?: 0)?/g, "`$&`")}`,
  storage: "disk",
  keeps: "Not the mails since its database's last checkpoint (`synchronous=NORMAL` with a write-ahead log).",
  isDurable: false,
  prepare: async () => {
    const command = findProgram("mailpit", "MAILPIT");
    const version = await versionOf(command, ["version", "--no-release-check"], /v?(\d+\.\S+)/);
    return { version, start: (options) => start(command, options) };
  },
};

async function start(command: string, { dir, tracePath, signal }: PeerStart): Promise<RunningPeer> {
  const [smtpPort, httpPort] = [await freePort(), await freePort()];
  const places = ["--smtp", `127.0.0.1:${smtpPort}`, "--listen", `127.0.0.1:${httpPort}`];
  const args = [...places, "--database", join(dir, "mails.db"), ...settings];
  const server = await PeerProcess.start({
    port: smtpPort,
    webPort: httpPort,
    command,
    args,
    cwd: dir,
    logPath: join(dir, "log"),
    tracePath,
    signal,
  });
  const api = `http://127.0.0.1:${httpPort}/api/v1`;
  return {
    smtp: { host: "127.0.0.1", port: smtpPort },
    process: server,
    stored: storedMails(api),
    events: `ws://127.0.0.1:${httpPort}/api/events`,
    list: `${api}/messages?limit=20`,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

interface Page {
  total: number;
  messages: { ID: string }[];
}

function storedMails(api: string): StoredMails {
  const page = async (query: string): Promise<Page> => (await (await fetch(`${api}/messages?${query}`)).json()) as Page;
  return {
    count: async () => (await page("limit=1")).total,
    async *read(limit) {
      for (const { ID } of (await page(`limit=${limit}`)).messages) {
        yield await (await fetch(`${api}/message/${ID}/raw`)).bytes();
      }
    },
  };
}
