import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { MeasuredProcess } from "./measured-process.ts";
import type { SmtpTarget } from "./smtp-lane.ts";

const entry = fileURLToPath(new URL("../server/bin/catmails.mjs", import.meta.url));
const discardEntry = fileURLToPath(new URL("./discard-server.ts", import.meta.url));

/**
 * What the bench changes in the server's configuration: connections that never end, from one address and of one user, and no line in the
 * log for each mail, as with the peers.
 */
const changed = {
  CATMAILS_LOG_LEVEL: "warn",
  CATMAILS_SMTP_MAX_MAILS: "999999999",
  CATMAILS_SMTP_MAX_CONNECTIONS: "2000",
  CATMAILS_SMTP_MAX_CONNECTIONS_PER_IP: "2000",
  CATMAILS_MAX_FOLLOWERS: "20000",
  CATMAILS_MAX_FOLLOWERS_PER_USER: "20000",
};

export interface ServerOptions {
  dataDir: string;
  key: string;
  /** CPU profiles of every thread go there at the end. */
  profileDir: string | null;
  /** Further configuration. */
  env?: Readonly<Record<string, string>>;
  /** `discard`: our SMTP engine alone, with an intake that throws every mail away; it has no HTTP. */
  what?: "catmails" | "discard";
}

/** The real server as its own process, on free ports of the loopback, logging as by default, into a file. */
export class ServerProcess implements AsyncDisposable {
  readonly process: MeasuredProcess;
  readonly smtp: SmtpTarget;
  /** Such as `http://127.0.0.1:8080`. */
  readonly origin: string;
  /** URL of the WebSocket, without a key. */
  readonly websocket: string;
  readonly mailbox: string;

  private constructor(process: MeasuredProcess, report: Report) {
    this.process = process;
    this.smtp = { host: report.smtp.host, port: report.smtp.port };
    this.origin = report.http.replace(/\/api$/, "");
    this.websocket = report.websocket;
    this.mailbox = report.mailbox;
  }

  /** Starts it and waits until it serves. Rejects with its log when it does not come up. */
  static async start(options: ServerOptions): Promise<ServerProcess> {
    const { dataDir, profileDir, what = "catmails" } = options;
    const profiling = profileDir === null ? [] : ["--cpu-prof", `--cpu-prof-dir=${profileDir}`];
    const args = what === "discard" ? [...profiling, discardEntry] : [...profiling, entry, "serve", "--json"];
    const child = await MeasuredProcess.spawn({
      program: process.execPath,
      args,
      cwd: dirname(dataDir),
      env: environment(options),
      logPath: `${dataDir}.log`,
    });
    return new ServerProcess(child, JSON.parse(await child.firstLine()) as Report);
  }

  /** Stops it as an operator would, and waits for its end. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.process[Symbol.asyncDispose]();
  }
}

interface Report {
  smtp: { host: string; port: number };
  http: string;
  websocket: string;
  mailbox: string;
}

function environment(options: ServerOptions): Record<string, string | undefined> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("CATMAILS_"));
  return {
    ...Object.fromEntries(inherited),
    ...changed,
    CATMAILS_DATA_DIR: options.dataDir,
    CATMAILS_SMTP_PORT: "0",
    CATMAILS_HTTP_PORT: "0",
    CATMAILS_BOOTSTRAP_KEY: options.key,
    ...options.env,
  };
}
