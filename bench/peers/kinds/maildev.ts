import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { installPackages } from "../npm-package.ts";
import { PeerProcess } from "../peer-process.ts";
import type { Peer, PeerStart, RunningPeer, StoredMails } from "../peer.ts";
import { freePort } from "../program.ts";

const version = "3.0.0";
const pageMails = 50;

/** MailDev, as its package on npm has it. */
export const maildev: Peer = {
  name: "maildev",
  title: "MailDev",
  settings: "`--mail-directory` on the disk, `--silent`, `--max-message-size 0`",
  storage: "disk",
  keeps: "Not the mails of the last half minute or so: nothing is synced.",
  isDurable: false,
  prepare: async (tools) => {
    const packages = await installPackages(tools, "maildev", { maildev: version });
    return { version, start: (options) => start(packages, options) };
  },
};

async function start(packages: string, { dir, tracePath, signal }: PeerStart): Promise<RunningPeer> {
  const [smtpPort, httpPort] = [await freePort(), await freePort()];
  const places = ["--ip", "127.0.0.1", "--smtp", String(smtpPort), "--web-ip", "127.0.0.1", "--web", String(httpPort)];
  const mails = join(dir, "mails");
  await mkdir(mails);
  const server = await PeerProcess.start({
    port: smtpPort,
    webPort: httpPort,
    command: process.execPath,
    args: [
      join(packages, "node_modules/maildev/dist/bin/maildev.js"),
      ...places,
      "--silent",
      "--max-message-size",
      "0",
      "--mail-directory",
      mails,
    ],
    cwd: dir,
    logPath: join(dir, "log"),
    tracePath,
    signal,
  });
  return {
    smtp: { host: "127.0.0.1", port: smtpPort },
    process: server,
    stored: storedMails(`http://127.0.0.1:${httpPort}/api`),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

interface Page {
  total: number;
  items: { id: string }[];
}

function storedMails(api: string): StoredMails {
  const page = async (query: string): Promise<Page> =>
    (await (await fetch(`${api}/email/summary?${query}`)).json()) as Page;
  return {
    count: async () => (await page("limit=1")).total,
    async *read(limit) {
      for (let skip = 0; skip < limit; skip += pageMails) {
        const { items } = await page(`skip=${skip}&limit=${Math.min(pageMails, limit - skip)}`);
        for (const { id } of items) yield await (await fetch(`${api}/email/${id}/source`)).bytes();
      }
    },
  };
}
