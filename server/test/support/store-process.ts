import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/**
 * A process of its own that opens the store of a data directory, writes `open`, and then does what it is told:
 * `deliver` commits mails to `ann@mails.test` without end, 20 at a time, and writes each answer as `stored <id> <subject>`
 * or `refused <subject>`; `lock` takes the serve lock and writes `locked` or `taken`; `wait` only waits.
 */
export class StoreProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly lines: string[] = [];
  #waiting: { matches: (line: string) => boolean; resolve: (line: string) => void } | null = null;
  readonly #exited: Promise<unknown>;

  constructor(dataDir: string, task: "deliver" | "lock" | "wait") {
    const script = fileURLToPath(new URL("./store-process-main.ts", import.meta.url));
    const child = spawn(process.execPath, [script, dataDir, task], { stdio: ["ignore", "pipe", "inherit"] });
    this.child = child;
    this.#exited = once(child, "close");
    const note = (line: string): void => {
      this.lines.push(line);
      if (this.#waiting?.matches(line) === true) this.#waiting.resolve(line);
    };
    createInterface({ input: child.stdout }).on("line", note);
    child.once("close", () => this.#waiting?.resolve(""));
  }

  /** The next line that starts so, or one that came already; empty when the process ended without one. */
  async line(start: string, from = 0): Promise<string> {
    const matches = (line: string): boolean => line.startsWith(start);
    const known = this.lines.slice(from).find(matches);
    if (known !== undefined) return known;
    if (this.child.exitCode !== null || this.child.signalCode !== null) return "";
    return new Promise((resolve) => (this.#waiting = { matches, resolve }));
  }

  /** Ends it as a power cut would, and waits for its last words. */
  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.#exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
