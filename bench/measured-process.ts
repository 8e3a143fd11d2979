import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { open, readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { forgetPeak, usageOf, type Usage } from "./process-usage.ts";

export interface ProgramOptions {
  program: string;
  args: readonly string[];
  cwd: string;
  env: Readonly<Record<string, string | undefined>>;
  /** What it writes to standard error goes there. */
  logPath: string;
}

/** A program that is loaded and watched. Its end is that of the bench. */
export class MeasuredProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #logPath: string;

  private constructor(child: ChildProcess, logPath: string) {
    this.#child = child;
    this.#logPath = logPath;
  }

  static async spawn({ program, args, cwd, env, logPath }: ProgramOptions): Promise<MeasuredProcess> {
    const log = await open(logPath, "a");
    const child = spawn(program, args, { cwd, env, stdio: ["ignore", "pipe", log.fd] });
    // Listened for at once: it happens in the next turn.
    const spawned = once(child, "spawn");
    await Promise.all([spawned, log.close()]);
    return new MeasuredProcess(child, logPath);
  }

  /** The first line that it prints. Rejects with its log when it ends without one. */
  async firstLine(): Promise<string> {
    if (this.#child.stdout === null) throw new Error("The program has no output");
    for await (const line of createInterface({ input: this.#child.stdout })) return line;
    throw new Error(`The program did not start:\n${await readFile(this.#logPath, "utf8")}`);
  }

  /** Memory and processor time of the whole process, all threads. */
  usage(): Promise<Usage> {
    return usageOf(this.#pid);
  }

  forgetPeak(): Promise<void> {
    return forgetPeak(this.#pid);
  }

  /** Stops it where it stands, until {@link resume}: it takes no processor and no disk. */
  pause(): void {
    this.#child.kill("SIGSTOP");
  }

  resume(): void {
    this.#child.kill("SIGCONT");
  }

  /** Ends it without a word, as a power cut would, and waits for its end. */
  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  /** Stops it as an operator would, and waits for its end. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#end("SIGTERM");
  }

  get #pid(): number {
    if (this.#child.pid === undefined) throw new Error("The program has no process id");
    return this.#child.pid;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill(signal);
    this.resume();
    await ended;
  }
}
