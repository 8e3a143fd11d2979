import { join } from "node:path";
import { PeerProcess } from "../peer-process.ts";
import type { Peer, PeerStart, RunningPeer } from "../peer.ts";
import { findProgram, freePort, versionOf } from "../program.ts";

const backlog = "1000";

/** What the generator can do at the most: a program in C that throws everything away. */
export const smtpSink: Peer = {
  name: "smtp-sink",
  title: "smtp-sink, discards",
  settings: "none",
  storage: "nowhere",
  keeps: "Nothing: it throws every mail away.",
  isDurable: false,
  prepare: async () => {
    const command = findProgram("smtp-sink", "SMTP_SINK");
    const version = await versionOf("postconf", ["-h", "mail_version"], /(\d\S+)/);
    return { version, start: (options) => start(command, options) };
  },
};

async function start(command: string, { dir, tracePath, signal }: PeerStart): Promise<RunningPeer> {
  const port = await freePort();
  // It refuses to go on as root.
  const user = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
  const args = [...user, `127.0.0.1:${port}`, backlog];
  const server = await PeerProcess.start({
    port,
    command,
    args,
    cwd: dir,
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
