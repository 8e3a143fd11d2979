/**
 * A server that breaks the promise: it says 250 first and stores a little later. The harnesses must catch it.
 * Run as a program with `CATMAILS_DATA_DIR`; prints a report as `serve --json` does, without HTTP.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { smtpLimits } from "../../src/cli/service.ts";
import { loadConfig } from "../../src/config.ts";
import { Receiver } from "../../src/mail/receive.ts";
import { Metrics } from "../../src/metrics.ts";
import { MailParser } from "../../src/mime/mime.ts";
import { SmtpServer } from "../../src/smtp/server.ts";
import { silentLog } from "../support/silent-log.ts";
import { openStore } from "./household.ts";

const lateMs = 100;

const { config } = loadConfig({ env: process.env });
const log = silentLog();
const metrics = new Metrics();
const store = await openStore(config.data_dir);
const receiver = new Receiver({
  store,
  feed: { announce: () => undefined, isFollowed: () => false },
  parser: new MailParser({}),
  metrics,
  domain: config.domain,
  quotaBytes: 0,
  maxReceived: 100,
});

type Receive = Receiver["receive"];
const receiveLater = async (mail: Parameters<Receive>[0]): Promise<void> => {
  await delay(lateMs);
  // It has said 250 already, so it tells nobody that the store failed.
  await receiver.receive(mail).catch(() => undefined);
};

const smtp = await SmtpServer.listen({
  listeners: [{ host: "127.0.0.1", port: 0 }],
  hostname: config.smtp_hostname,
  limits: smtpLimits(config),
  intake: {
    checkRecipient: (address, envelope) => receiver.checkRecipient(address, envelope),
    receive: (mail: Parameters<Receive>[0]) => {
      void receiveLater(mail);
      return Promise.resolve({ kind: "stored", receipt: randomUUID() });
    },
  },
  log,
});
process.stdout.write(`${JSON.stringify({ smtp: smtp.address, http: "", websocket: "", mailbox: "" })}\n`);
process.once("SIGTERM", () => process.exit(0));
