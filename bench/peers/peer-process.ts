import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { open, readFile } from "node:fs/promises";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { readTree, readTreeUsage, type TreeUsage } from "./process-tree.ts";
import { findProgram } from "./program.ts";

const startMs = 15_000;
const stopMs = 10_000;
const retryMs = 20;
/** The end of a log that goes into a message. */
const shownLogChars = 600;

export interface ProcessOptions {
  command: string;
  args: readonly string[];
  cwd: string;
  /** Set in its environment beside ours. */
  env?: Readonly<Record<string, string>>;
  /** Of the loopback, where it greets as SMTP does. */
  port: number;
  /** Of the loopback, where it has to take connections as well. */
  webPort?: number;
  /** It shares our process group: for those that go into the background when they lead one. */
  isFollower?: boolean;
  /** Where its output goes. */
  logPath: string;
  tracePath: string | null;
  signal: AbortSignal;
}

/** One peer's process with everything it starts. */
export class PeerProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #options: ProcessOptions;

  private constructor(child: ChildProcess, options: ProcessOptions) {
    this.#child = child;
    this.#options = options;
  }

  /** Starts it; resolves once it greets. Rejects, with nothing left of it, when it does not within 15 seconds. */
  static async start(options: ProcessOptions): Promise<PeerProcess> {
    const log = await open(options.logPath, "a");
    const { command, args } = options.tracePath === null ? options : traced(options, options.tracePath);
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...environment(), ...options.env },
      stdio: ["ignore", log.fd, log.fd],
      // A group of its own: the end is ours to say, also when a terminal interrupts all of its own group.
      detached: options.isFollower !== true,
    });
    const spawned = once(child, "spawn");
    await log.close();
    await spawned;
    const started = new PeerProcess(child, options);
    try {
      await started.#greets();
      return started;
    } catch (error) {
      await started[Symbol.asyncDispose]();
      throw error;
    }
  }

  usage(): Promise<TreeUsage> {
    return readTreeUsage(this.#child.pid ?? 0);
  }

  /** Asks it to end, waits, and ends by force what is left of it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#hasEnded) return this.#endGroup();
    const ended = once(this.#child, "exit");
    const tree = await readTree(this.#child.pid ?? 0);
    // A tracer ends with what it traces, and would let go of it if it were ended itself.
    const first = this.#options.tracePath === null ? tree[0] : tree[1];
    if (first !== undefined) end(first, "SIGTERM");
    const stopped = new AbortController();
    const patience = delay(stopMs, undefined, { signal: stopped.signal }).catch(() => null);
    await Promise.race([ended, patience]);
    stopped.abort();
    // Whoever ends first may leave its children to themselves, as Postfix's script does with its master.
    for (const pid of new Set([...tree, ...(await readTree(this.#child.pid ?? 0))])) end(pid, "SIGKILL");
    this.#endGroup();
    await ended;
  }

  /** A group bears the number of its first process, also when only a child of that is left. */
  #endGroup(): void {
    if (this.#options.isFollower !== true) end(-(this.#child.pid ?? 0), "SIGKILL");
  }

  async #greets(): Promise<void> {
    const { port, webPort, signal } = this.#options;
    const endMs = performance.now() + startMs;
    const isReady = async (): Promise<boolean> =>
      (await isGreeting(port)) && (webPort === undefined || (await isOpen(webPort)));
    while (!(await isReady())) {
      signal.throwIfAborted();
      if (this.#hasEnded) throw new Error(`It ended while starting: ${await this.#logEnd()}`);
      if (performance.now() > endMs) throw new Error(`It does not greet: ${await this.#logEnd()}`);
      await delay(retryMs);
    }
  }

  /** The last of what it wrote. */
  async #logEnd(): Promise<string> {
    const text = await readFile(this.#options.logPath, "utf8").catch(() => "");
    return text.slice(-shownLogChars).trim();
  }

  get #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }
}

/** Only the calls that are traced stop the process; all others run at full speed. */
function traced({ command, args }: ProcessOptions, tracePath: string): { command: string; args: string[] } {
  const calls = "trace=fsync,fdatasync,sync_file_range,msync,syncfs,sync";
  const options = ["-f", "--seccomp-bpf", "-qq", "-e", "signal=none", "-e", calls, "-o", tracePath];
  return { command: findProgram("strace", null), args: [...options, "--", command, ...args] };
}

/** Ours without what would change a peer or ourselves. */
function environment(): Record<string, string | undefined> {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(?:CATMAILS_|npm_|NODE_|INBUCKET_|MP_|MH_|MAILDEV_)/.test(name),
  );
  return Object.fromEntries(kept);
}

function end(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Connects, and waits for the first byte. */
function isGreeting(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host: "127.0.0.1", port });
  socket.setTimeout(startMs, () => resolve(false));
  socket.once("data", (data) => resolve(data.toString("latin1").startsWith("220")));
  socket.once("error", () => resolve(false));
  socket.once("close", () => resolve(false));
  return promise.finally(() => socket.destroy());
}

function isOpen(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host: "127.0.0.1", port });
  socket.once("connect", () => resolve(true));
  socket.once("error", () => resolve(false));
  return promise.finally(() => socket.destroy());
}
