import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createLog } from "../../../server/src/log.ts";
import { setUp } from "../../../server/src/mail/setup.ts";
import { openSqliteStore } from "../../../server/src/store/sqlite/sqlite-store.ts";
import type { Store } from "../../../server/src/store/store.ts";
import { PeerProcess } from "../peer-process.ts";
import type { Peer, PeerStart, RunningPeer, StoredMails } from "../peer.ts";
import { freePort, versionOf } from "../program.ts";

const entry = fileURLToPath(new URL("../../../server/bin/catmails.mjs", import.meta.url));
const domain = "mails.localhost";

/** Ourselves, as anybody else would start us. */
export const catmails: Peer = {
  name: "catmails",
  title: "Cat Mails",
  settings: "`smtp_max_mails` and `smtp_max_connections_per_ip` raised: one address sends everything; `log_level=warn`",
  storage: "disk",
  keeps: "Every mail that was acknowledged.",
  isDurable: true,
  prepare: async () => ({
    version: await versionOf(process.execPath, [entry, "--version"], /(\d+\.\S+)/),
    start,
  }),
};

async function start({ dir, recipients, tracePath, signal }: PeerStart): Promise<RunningPeer> {
  const dataDir = join(dir, "data");
  const key = `mk_${randomBytes(32).toString("hex")}`;
  await makeMailboxes(dataDir, key, recipients);
  const [smtpPort, httpPort] = [await freePort(), await freePort()];
  const server = await PeerProcess.start({
    port: smtpPort,
    webPort: httpPort,
    command: process.execPath,
    args: [entry, "serve"],
    cwd: dir,
    env: {
      CATMAILS_DATA_DIR: dataDir,
      CATMAILS_SMTP_PORT: String(smtpPort),
      CATMAILS_HTTP_PORT: String(httpPort),
      CATMAILS_BOOTSTRAP_KEY: key,
      CATMAILS_LOG_LEVEL: "warn",
      CATMAILS_SMTP_MAX_MAILS: "999999999",
      CATMAILS_SMTP_MAX_CONNECTIONS_PER_IP: "1000",
    },
    logPath: join(dir, "log"),
    tracePath,
    signal,
  });
  return {
    smtp: { host: "127.0.0.1", port: smtpPort },
    process: server,
    stored: storedMails(dataDir),
    events: `ws://127.0.0.1:${httpPort}/?key=${key}`,
    list: `http://127.0.0.1:${httpPort}/api?type=getmails&mail=${recipients[0]}&limit=20&key=${key}`,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function makeMailboxes(dataDir: string, key: string, addresses: readonly string[]): Promise<void> {
  await using store = await openStore(dataDir);
  const { firstUser } = await setUp(store, {
    domain,
    tempDomain: `temp.${domain}`,
    bootstrapMail: `demo@${domain}`,
    bootstrapKey: key,
  });
  const userId = firstUser?.id ?? 0;
  const rest = { nowMs: Date.now(), expiresAtMs: null, random: false, forKeyId: null, maxTemp: 0, takeReserved: false };
  for (const address of addresses) await store.createMailbox({ userId, address, kind: "alias", ...rest });
}

/** Read as the commands do while a server runs. All mailboxes belong to one user, whose ids have no gaps. */
function storedMails(dataDir: string): StoredMails {
  return {
    async count() {
      await using store = await openStore(dataDir);
      const userId = await userOf(store);
      return (await store.lastMailIds([userId])).get(userId) ?? 0;
    },
    async *read(limit) {
      await using store = await openStore(dataDir);
      const userId = await userOf(store);
      for (let id = 1; id <= limit; id++) {
        const mail = await store.readMail({ userId, id, mailboxIds: null, nowMs: Date.now() });
        if (mail !== null) yield mail.raw;
      }
    },
  };
}

async function userOf(store: Store): Promise<number> {
  const [user] = await store.listUsers({ afterId: 0, limit: 1 });
  if (user === undefined) throw new Error("There is no user");
  return user.id;
}

function openStore(dataDir: string): Promise<Store> {
  const log = createLog({ level: "warn", format: "json", write: (line) => process.stderr.write(line) });
  return openSqliteStore({ dataDir, log });
}
