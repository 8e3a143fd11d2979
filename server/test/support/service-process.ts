import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { projectRoot } from "./project-files.ts";

/** What `serve --json` prints once it serves. */
export interface ServiceReport {
  smtp: { host: string; port: number };
  smtps?: { host: string; port: number };
  https?: string;
  lmtp?: ({ host: string; port: number } | { path: string })[];
  /** Ends in `/api`. */
  http: string;
  websocket: string;
  mailbox: string;
  key?: string;
}

export interface ServiceProcessOptions {
  dataDir: string;
  /** Added to what every test needs: free ports and only warnings in the log. */
  env?: Readonly<Record<string, string>>;
  /** A file to run in place of `catmails serve --json`; it must print such a report too. */
  entry?: string;
  /** A command to run it under, such as strace. It must keep the process id for the server. */
  under?: readonly string[];
}

const startTimeoutMs = 60_000;
const frontDoor = join(projectRoot, "server/bin/catmails.mjs");

/** The real server in a process of its own, which a test may kill. Never outlives the test's process. */
export class ServiceProcess implements AsyncDisposable {
  readonly report: ServiceReport;
  /** Every line of standard error so far. */
  readonly log: readonly string[];
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, report: ServiceReport, log: readonly string[]) {
    this.#child = child;
    this.report = report;
    this.log = log;
  }

  /** Resolves once the server takes mail; rejects with its log when it ends or says nothing for a minute. */
  static async start(options: ServiceProcessOptions): Promise<ServiceProcess> {
    const command = options.entry === undefined ? [frontDoor, "serve", "--json"] : [options.entry];
    const [program = process.execPath, ...args] = [...(options.under ?? []), process.execPath, ...command];
    const child = spawn(program, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: serviceEnvironment(options.dataDir, options.env),
    });
    const killWithUs = (): void => void child.kill("SIGKILL");
    process.once("exit", killWithUs);
    child.once("exit", () => process.off("exit", killWithUs));
    const log: string[] = [];
    createInterface({ input: child.stderr }).on("line", (line) => log.push(line));
    try {
      return new ServiceProcess(child, await readReport(child, log), log);
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** SIGKILL, as a crash; resolves once the process is gone. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** SIGTERM, and the exit code. */
  async stop(): Promise<number | null> {
    await this.#end("SIGTERM");
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end("SIGKILL");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.hasExited) return;
    const gone = once(this.#child, "exit");
    this.#child.kill(signal);
    await gone;
  }
}

/** The environment of the tests without any configuration of ours. */
export function inheritedEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("CATMAILS_")));
}

/** An environment for a command of ours: nothing of the caller's configuration, everything in one directory. */
export function serviceEnvironment(dataDir: string, env: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return {
    ...inheritedEnvironment(),
    CATMAILS_DATA_DIR: dataDir,
    CATMAILS_SMTP_PORT: "0",
    CATMAILS_HTTP_PORT: "0",
    CATMAILS_LOG_LEVEL: "warn",
    CATMAILS_LOG_FORMAT: "json",
    ...env,
  };
}

async function readReport(child: ChildProcess, log: readonly string[]): Promise<ServiceReport> {
  const { promise, resolve, reject } = Promise.withResolvers<ServiceReport>();
  const fail = (what: string) => reject(new Error(`the server ${what}\n${log.join("\n")}`));
  const timer = setTimeout(() => fail("did not start in time"), startTimeoutMs);
  child.once("error", reject);
  child.once("close", (code, signal) => fail(`ended with ${code ?? signal}`));
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).once("line", (line) => resolve(JSON.parse(line) as ServiceReport));
  }
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}
