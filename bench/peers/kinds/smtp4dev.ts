import { join } from "node:path";
import { PeerProcess } from "../peer-process.ts";
import type { Peer, PeerStart, RunningPeer } from "../peer.ts";
import { findProgram, freePort, versionOf } from "../program.ts";

/** https://github.com/rnwood/smtp4dev/blob/master/docs/Configuration.md */
const settings = ["--messagestokeep=1000000000", "--sessionstokeep=1000000000", "--imapport=", "--pop3port="];

/** smtp4dev, started as its documentation says; it needs .NET. */
export const smtp4dev: Peer = {
  name: "smtp4dev",
  title: "smtp4dev",
  settings: "`--db` on the disk, `--messagestokeep` and `--sessionstokeep` out of reach, no IMAP and POP3",
  storage: "disk",
  keeps: "Not said by its documentation.",
  isDurable: false,
  prepare: async () => {
    const command = findProgram("smtp4dev", "SMTP4DEV");
    const version = await versionOf(command, ["--help"], /smtp4dev version (\S+)/);
    return { version, start: (options) => start(command, options) };
  },
};

async function start(command: string, { dir, tracePath, signal }: PeerStart): Promise<RunningPeer> {
  const [port, httpPort] = [await freePort(), await freePort()];
  const places = [`--urls=http://127.0.0.1:${httpPort}`, `--smtpport=${port}`, `--db=${join(dir, "mails.db")}`];
  const args = [...places, "--nousersettings", "--bindaddress=127.0.0.1", ...settings];
  const server = await PeerProcess.start({
    port,
    webPort: httpPort,
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
