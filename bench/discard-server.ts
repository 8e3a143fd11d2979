/**
 * Our SMTP engine with an intake that takes every mail for every address and throws it away: the most that anything
 * behind the door can leave. A program; prints a report as `serve --json` does, without HTTP.
 */
import { letHeapGrow } from "../server/src/cli/heap-growth.ts";
import { smtpLimits } from "../server/src/cli/service.ts";
import { loadConfig } from "../server/src/config.ts";
import { createLog } from "../server/src/log.ts";
import type { Intake } from "../server/src/smtp/intake.ts";
import { SmtpServer } from "../server/src/smtp/server.ts";

const mailbox = "nobody@mails.localhost";

letHeapGrow();
const { config } = loadConfig({ env: process.env });
const intake: Intake = {
  checkRecipient: (address) => {
    const recipient = { key: address?.text ?? "postmaster", mailboxId: 1 };
    return Promise.resolve({ kind: "accepted", recipient });
  },
  receive: () => Promise.resolve({ kind: "stored", receipt: "thrown-away" }),
};
const smtp = await SmtpServer.listen({
  listeners: [{ host: config.smtp_host, port: config.smtp_port }],
  hostname: config.smtp_hostname,
  limits: smtpLimits(config),
  intake,
  log: createLog({ level: config.log_level, format: "json", write: (line) => process.stderr.write(line) }),
});
process.stdout.write(`${JSON.stringify({ smtp: smtp.address, http: "", websocket: "", mailbox })}\n`);
process.once("SIGTERM", () => void smtp.drain(1_000));
