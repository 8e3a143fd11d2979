import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { PeerProcess } from "../peer-process.ts";
import type { Peer, PeerStart, RunningPeer, StoredMails } from "../peer.ts";
import { findProgram, freePort, versionOf } from "../program.ts";

/** https://github.com/inbucket/inbucket/blob/main/doc/config.md */
const caps = {
  INBUCKET_LOGLEVEL: "error",
  INBUCKET_SMTP_MAXMESSAGEBYTES: "104857600",
  INBUCKET_STORAGE_MAILBOXMSGCAP: "0",
  INBUCKET_STORAGE_RETENTIONPERIOD: "0",
};
const shownCaps =
  "`INBUCKET_STORAGE_MAILBOXMSGCAP=0`, `…RETENTIONPERIOD=0`, `…MAXMESSAGEBYTES` 100 MiB, `…LOGLEVEL=error`";

/** Inbucket with its default store. */
export const inbucketMemory: Peer = {
  name: "inbucket-memory",
  title: "Inbucket, memory store",
  settings: shownCaps,
  storage: "memory",
  keeps: "Nothing, and nothing through a restart.",
  isDurable: false,
  prepare: () => prepare("memory"),
};

/** Inbucket with a file for each mail. */
export const inbucketFile: Peer = {
  name: "inbucket-file",
  title: "Inbucket, file store",
  settings: `\`INBUCKET_STORAGE_TYPE=file\`, ${shownCaps}`,
  storage: "disk",
  keeps: "Not the mails of the last half minute or so: nothing is synced.",
  isDurable: false,
  prepare: () => prepare("file"),
};

async function prepare(store: "memory" | "file"): ReturnType<Peer["prepare"]> {
  const command = findProgram("inbucket", "INBUCKET");
  const version = await versionOf(command, ["-version"], /(\d+\.\S+)/);
  return { version, start: (options) => start(command, store, options) };
}

async function start(command: string, store: "memory" | "file", options: PeerStart): Promise<RunningPeer> {
  const { dir, recipients, tracePath, signal } = options;
  const [smtpPort, httpPort, popPort] = [await freePort(), await freePort(), await freePort()];
  const mails = join(dir, "mails");
  await mkdir(mails);
  const env = {
    ...caps,
    INBUCKET_SMTP_ADDR: `127.0.0.1:${smtpPort}`,
    INBUCKET_WEB_ADDR: `127.0.0.1:${httpPort}`,
    INBUCKET_POP3_ADDR: `127.0.0.1:${popPort}`,
    INBUCKET_STORAGE_TYPE: store,
    ...(store === "file" ? { INBUCKET_STORAGE_PARAMS: `path:${mails}` } : {}),
  };
  const server = await PeerProcess.start({
    port: smtpPort,
    webPort: httpPort,
    command,
    args: [],
    cwd: dir,
    env,
    logPath: join(dir, "log"),
    tracePath,
    signal,
  });
  return {
    smtp: { host: "127.0.0.1", port: smtpPort },
    process: server,
    stored: storedMails(`http://127.0.0.1:${httpPort}/api/v1`, recipients),
    events: `ws://127.0.0.1:${httpPort}/api/v2/monitor/messages`,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function storedMails(api: string, recipients: readonly string[]): StoredMails {
  const mailboxes = recipients.map((address) => `${api}/mailbox/${address.slice(0, address.indexOf("@"))}`);
  const list = async (mailbox: string): Promise<{ id: string }[]> =>
    (await (await fetch(mailbox)).json()) as { id: string }[];
  return {
    async count() {
      let mails = 0;
      for (const mailbox of mailboxes) mails += (await list(mailbox)).length;
      return mails;
    },
    async *read(limit) {
      let left = limit;
      for (const mailbox of mailboxes) {
        for (const { id } of (await list(mailbox)).slice(0, left)) {
          left--;
          yield await (await fetch(`${mailbox}/${id}/source`)).bytes();
        }
      }
    },
  };
}
