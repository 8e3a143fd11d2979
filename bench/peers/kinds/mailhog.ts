import { PeerProcess } from "../peer-process.ts";
import type { Peer, PeerStart, RunningPeer, StoredMails } from "../peer.ts";
import { findProgram, freePort } from "../program.ts";

const pageMails = 250;

/** MailHog, which many still run. */
export const mailhog: Peer = {
  name: "mailhog",
  title: "MailHog, memory",
  settings: "Its log, which cannot be turned off, goes nowhere",
  storage: "memory",
  keeps: "Nothing, and nothing through a restart.",
  isDurable: false,
  prepare: async () => {
    const command = findProgram("MailHog", "MAILHOG");
    return { version: "1.0.1 or as built: it does not tell", start: (options) => start(command, options) };
  },
};

async function start(command: string, { dir, tracePath, signal }: PeerStart): Promise<RunningPeer> {
  const [smtpPort, httpPort] = [await freePort(), await freePort()];
  const http = `127.0.0.1:${httpPort}`;
  const args = ["-smtp-bind-addr", `127.0.0.1:${smtpPort}`, "-api-bind-addr", http, "-ui-bind-addr", http];
  const server = await PeerProcess.start({
    port: smtpPort,
    webPort: httpPort,
    command,
    args,
    cwd: dir,
    logPath: "/dev/null",
    tracePath,
    signal,
  });
  return {
    smtp: { host: "127.0.0.1", port: smtpPort },
    process: server,
    stored: storedMails(`http://${http}/api/v2`),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

interface Page {
  total: number;
  items: { Raw: { Data: string } }[];
}

function storedMails(api: string): StoredMails {
  const page = async (query: string): Promise<Page> => (await (await fetch(`${api}/messages?${query}`)).json()) as Page;
  return {
    count: async () => (await page("limit=1")).total,
    async *read(limit) {
      for (let start = 0; start < limit; start += pageMails) {
        const { items } = await page(`start=${start}&limit=${Math.min(pageMails, limit - start)}`);
        for (const { Raw } of items) yield Buffer.from(Raw.Data, "latin1");
      }
    },
  };
}
