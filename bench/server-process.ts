import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { open, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Ticks of /proc/<pid>/stat in a second: what every Linux shows to programs. */
const ticksPerSecond = 100;

const entry = fileURLToPath(new URL("../server/bin/catmails.mjs", import.meta.url));

/** What the bench changes in the server's configuration: connections that never end, from one address. */
const raised = {
  CATMAILS_SMTP_MAX_MAILS: "999999999",
  CATMAILS_SMTP_MAX_CONNECTIONS_PER_IP: "1000",
};

export interface ServerOptions {
  dataDir: string;
  key: string;
  /** CPU profiles of every thread go there at the end. */
  profileDir: string | null;
}

/** What a process has used so far; 0 where the system does not tell. */
export interface Usage {
  residentBytes: number;
  cpuSeconds: number;
}

/** The real server as its own process, on free ports of the loopback, logging as by default, into a file. */
export class ServerProcess implements AsyncDisposable {
  readonly smtp: { host: string; port: number };
  /** URL of the API. */
  readonly api: string;
  /** URL of the WebSocket, without a key. */
  readonly websocket: string;
  readonly mailbox: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, report: Report) {
    this.#child = child;
    this.smtp = report.smtp;
    this.api = report.http;
    this.websocket = report.websocket;
    this.mailbox = report.mailbox;
  }

  /** Starts it and waits until it serves. Rejects with where its log is when it does not come up. */
  static async start(options: ServerOptions): Promise<ServerProcess> {
    const logPath = `${options.dataDir}.log`;
    const log = await open(logPath, "a");
    const profiling = options.profileDir === null ? [] : ["--cpu-prof", `--cpu-prof-dir=${options.profileDir}`];
    const child = spawn(process.execPath, [...profiling, entry, "serve", "--json"], {
      cwd: dirname(options.dataDir),
      env: environment(options),
      stdio: ["ignore", "pipe", log.fd],
    });
    await log.close();
    if (child.stdout === null) throw new Error("The server has no output");
    for await (const line of createInterface({ input: child.stdout })) {
      return new ServerProcess(child, JSON.parse(line) as Report);
    }
    throw new Error(`The server did not start:\n${await readFile(logPath, "utf8")}`);
  }

  /** Memory and processor time of the whole process, all threads. */
  async usage(): Promise<Usage> {
    const about = join("/proc", String(this.#child.pid));
    const [status, stat] = await Promise.all([read(join(about, "status")), read(join(about, "stat"))]);
    const kibibytes = /^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? "0";
    // The second field is the command in brackets and may hold spaces; user and system time are fields 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const ticks = Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
    return { residentBytes: Number(kibibytes) * 1024, cpuSeconds: ticks / ticksPerSecond };
  }

  /** Stops it as an operator would, and waits for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await ended;
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
    ...raised,
    CATMAILS_DATA_DIR: options.dataDir,
    CATMAILS_SMTP_PORT: "0",
    CATMAILS_HTTP_PORT: "0",
    CATMAILS_BOOTSTRAP_KEY: options.key,
  };
}

function read(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}
