import packageFile from "../../package.json" with { type: "json" };
import type { Config, LoadedConfig } from "../config.ts";
import { LineBatch } from "../line-batch.ts";
import { createLog, type Logger } from "../log.ts";
import { letHeapGrow } from "./heap-growth.ts";
import { authorityOf, reachable, type ListenAddress } from "./listen-address.ts";
import type { ListenPlace } from "../smtp/server.ts";
import { Service } from "./service.ts";
import { StartError } from "./start-error.ts";

/** A terminal's Ctrl-C reaches us twice under npm, which passes it on: the same wish, not a second one. */
const sameSignalMs = 300;

/**
 * Serves until SIGTERM or SIGINT, then stops in order and answers the exit code; a second signal ends the process at once.
 * Addresses, the new key and commands to try go to standard output, logs to standard error.
 */
export async function serve(loaded: LoadedConfig, options: { json: boolean }): Promise<number> {
  letHeapGrow();
  const { config } = loaded;
  const lines = new LineBatch((text) => process.stderr.write(text));
  process.on("exit", () => lines.flush());
  const log = createLog({
    level: config.log_level,
    format: config.log_format === "json" || (config.log_format === "auto" && !process.stderr.isTTY) ? "json" : "pretty",
    write: (line) => lines.add(line),
  });
  process.on("uncaughtException", (error) => {
    log.fatal({ err: error }, "A bug: this should never happen. Stopping at once; nothing acknowledged is lost");
    process.exit(1);
  });
  // Listened for before the start, so that a signal in the middle of it is not lost.
  const signalled = firstSignal(log);
  let service: Service;
  try {
    service = await Service.start(config, log);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    lines.add(`${error.message}\n`);
    return 1;
  }
  if (service.setup.bootstrapKeyInactive)
    log.warn("The configured bootstrap_key is not an active key; it is only used on the first start");
  process.stdout.write(options.json ? `${JSON.stringify(report(service, config))}\n` : banner(service, config));
  const { smtp, smtps, lmtp, http, https } = service;
  log.info({ smtp, ...(smtps && { smtps }), lmtp, http, ...(https && { https }) }, "Serving");
  log.info({ signal: await signalled }, "Stopping");
  await service.stop();
  log.info("Stopped");
  return 0;
}

function firstSignal(log: Logger): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  let firstMs: number | null = null;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (firstMs === null) {
      firstMs = performance.now();
      resolve(signal);
    } else if (performance.now() - firstMs > sameSignalMs) {
      log.warn({ signal }, "Second signal: ending at once");
      process.exit(1);
    }
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  return promise;
}

interface Report {
  version: string;
  smtp: ListenAddress;
  /** Only where it is on, as `https`. */
  smtps?: ListenAddress;
  /** Only where there is LMTP: ports and Unix sockets. */
  lmtp?: readonly ListenPlace[];
  http: string;
  https?: string;
  websocket: string;
  mailbox: string;
  /** Only on the start that made it. */
  key?: string;
}

function report(service: Service, config: Config): Report {
  const { smtp, smtps, https } = service;
  const http = authorityOf(reachable(service.http));
  return {
    version: packageFile.version,
    smtp,
    ...(smtps === null ? {} : { smtps }),
    ...(service.lmtp.length === 0 ? {} : { lmtp: service.lmtp }),
    http: `http://${http}/api`,
    ...(https === null ? {} : { https: `https://${authorityOf(reachable(https))}/api` }),
    websocket: `ws://${http}/`,
    mailbox: service.setup.firstUser?.address ?? config.bootstrap_mail,
    ...(service.setup.newKey === null ? {} : { key: service.setup.newKey }),
  };
}

function banner(service: Service, config: Config): string {
  const { http, https, websocket, mailbox, key } = report(service, config);
  const smtp = authorityOf(reachable(service.smtp));
  const smtpsLine = service.smtps === null ? "" : `  SMTPS      ${authorityOf(reachable(service.smtps))}\n`;
  const lmtp = service.lmtp.map((at) => ("path" in at ? at.path : authorityOf(reachable(at)))).join(", ");
  const lmtpLine = lmtp === "" ? "" : `  LMTP       ${lmtp}\n`;
  const httpsLine = https === undefined ? "" : `  HTTPS      ${https}\n`;
  const keyLine = key === undefined ? "" : `  API key    ${key}\n             shown this once: keep it\n`;
  const shown = key ?? "mk_...";
  return `Cat Mails ${packageFile.version}

  SMTP       ${smtp}
${smtpsLine}${lmtpLine}  HTTP       ${http}
${httpsLine}  WebSocket  ${websocket}?key=API_KEY
  Mailbox    ${mailbox}
${keyLine}
Try it in another shell:

  export KEY=${shown}
  printf 'From: Cat <cat@example.com>\\r\\nSubject: Hello\\r\\n\\r\\nYour code is 482913\\r\\n' |
    curl smtp://${smtp} --mail-from cat@example.com --mail-rcpt ${mailbox} --upload-file -
  curl "${http}?type=getmails&mail=${mailbox}&key=$KEY"
  curl ${http} -X POST -H "Authorization: Bearer $KEY" -d "mail=${mailbox}"
${key === undefined ? `\nA key is shown only when it is made. To make another: npx catmails key add --user ${mailbox}\n` : ""}
`;
}
