import { chown, mkdir, open, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { NotMeasured } from "../not-measured.ts";
import { PeerProcess } from "../peer-process.ts";
import type { Peer, PeerStart, RunningPeer, StoredMails } from "../peer.ts";
import { findProgram, freePort, versionOf } from "../program.ts";

const settleMs = 60_000;
const pollMs = 50;
const queues = ["maildrop", "incoming", "active", "deferred"];

/** A whole mail server: what "durable" has meant for thirty years. */
export const postfix: Peer = {
  name: "postfix",
  title: "Postfix, to a maildir",
  settings:
    "`in_flow_delay=0`, `smtpd_peername_lookup=no`, no limits for one client, virtual(8) to a maildir for each mailbox",
  storage: "disk",
  keeps: "Every mail that was acknowledged.",
  isDurable: true,
  prepare: async () => {
    const command = findProgram("postfix", null);
    if (process.getuid?.() !== 0) throw new NotMeasured("Postfix runs an instance of its own as root only");
    const version = await versionOf("postconf", ["-h", "mail_version"], /(\d\S+)/);
    return { version, start: (options) => start(command, options) };
  },
};

async function start(command: string, options: PeerStart): Promise<RunningPeer> {
  const { dir, recipients, tracePath, signal } = options;
  const port = await freePort();
  const owner = await postfixOwner();
  await mkdir(join(dir, "conf"));
  await mkdir(join(dir, "queue"));
  for (const name of ["data", "mails"]) {
    await mkdir(join(dir, name));
    await chown(join(dir, name), owner.uid, owner.gid);
  }
  await writeFile(join(dir, "conf/main.cf"), mainSettings(dir, owner));
  await writeFile(join(dir, "conf/master.cf"), services(port));
  await writeFile(join(dir, "conf/mailboxes"), recipients.map((address) => `${address} ${address}/\n`).join(""));
  const server = await PeerProcess.start({
    port,
    command,
    isFollower: true,
    args: ["-c", join(dir, "conf"), "start-fg"],
    cwd: dir,
    logPath: join(dir, "output"),
    tracePath,
    signal,
  });
  return {
    smtp: { host: "127.0.0.1", port },
    process: server,
    settle: () => settle(join(dir, "queue"), signal),
    stored: storedMails(join(dir, "mails")),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

interface Owner {
  uid: number;
  gid: number;
}

async function postfixOwner(): Promise<Owner> {
  const [, , uid, gid] = /^postfix:.*$/m.exec(await readFile("/etc/passwd", "utf8"))?.[0].split(":") ?? [];
  if (uid === undefined || gid === undefined) throw new Error("There is no user postfix");
  return { uid: Number(uid), gid: Number(gid) };
}

function mainSettings(dir: string, { uid, gid }: Owner): string {
  return `
compatibility_level = 3.6
queue_directory = ${join(dir, "queue")}
data_directory = ${join(dir, "data")}
maillog_file = ${join(dir, "log")}
maillog_file_prefixes = ${dir}
myhostname = mta.example.com
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
local_recipient_maps =
message_size_limit = 0
mailbox_size_limit = 0
virtual_mailbox_limit = 0
virtual_mailbox_domains = mails.localhost
virtual_mailbox_base = ${join(dir, "mails")}
virtual_mailbox_maps = texthash:${join(dir, "conf/mailboxes")}
virtual_minimum_uid = 1
virtual_uid_maps = static:${uid}
virtual_gid_maps = static:${gid}
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
in_flow_delay = 0
`;
}

function services(port: number): string {
  return `
127.0.0.1:${port} inet n - n - - smtpd
cleanup   unix        n - n - 0   cleanup
qmgr      unix        n - n 300 1 qmgr
rewrite   unix        - - n - -   trivial-rewrite
bounce    unix        - - n - 0   bounce
defer     unix        - - n - 0   bounce
trace     unix        - - n - 0   bounce
verify    unix        - - n - 1   verify
proxymap  unix        - - n - -   proxymap
virtual   unix        - n n - -   virtual
error     unix        - - n - -   error
retry     unix        - - n - -   error
anvil     unix        - - n - 1   anvil
scache    unix        - - n - 1   scache
postlog   unix-dgram  n - n - 1   postlogd
`;
}

/** An acknowledged mail is in the queue; it is delivered a moment later. */
async function settle(queue: string, signal: AbortSignal): Promise<void> {
  const endMs = performance.now() + settleMs;
  for (;;) {
    const left = await Promise.all(queues.map((name) => countFiles(join(queue, name))));
    if (left.every((files) => files === 0)) return;
    if (performance.now() > endMs) throw new Error(`Mails are left in its queues: ${left.join(", ")}`);
    await delay(pollMs, undefined, { signal });
  }
}

function storedMails(base: string): StoredMails {
  return {
    count: () => countFiles(base),
    async *read(limit) {
      for (const path of (await listFiles(base)).slice(0, limit)) {
        await using file = await open(path);
        yield await file.readFile();
      }
    },
  };
}

async function countFiles(dir: string): Promise<number> {
  return (await listFiles(dir)).length;
}

async function listFiles(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { withFileTypes: true, recursive: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
