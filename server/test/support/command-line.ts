import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { projectRoot } from "./project-files.ts";
import { inheritedEnvironment } from "./service-process.ts";
import { TemporaryDirectory } from "./temporary-directory.ts";

export interface CommandResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A temporary directory in which the real `catmails` is run as a person would; removed when it is disposed. */
export class CommandLine implements AsyncDisposable {
  /** Does not exist until a command makes it. */
  readonly dataDir: string;
  readonly #directory = new TemporaryDirectory();
  readonly #running = new Set<RunningCommand>();

  constructor() {
    this.dataDir = join(this.directory, "catmails-data");
  }

  get directory(): string {
    return this.#directory.path;
  }

  /** Starts a command and does not wait for it. */
  start(args: readonly string[], options: { env?: Record<string, string> } = {}): RunningCommand {
    return this.startNode([join(projectRoot, "server/bin/catmails.mjs")], args, options);
  }

  /** Starts Node itself, as {@link start} does, with a script and its arguments. */
  startNode(
    script: readonly string[],
    args: readonly string[],
    options: { env?: Record<string, string> } = {},
  ): RunningCommand {
    const child = spawn(process.execPath, [...script, ...args], {
      cwd: this.directory,
      env: { ...inheritedEnvironment(), ...options.env },
    });
    const running = new RunningCommand(child);
    this.#running.add(running);
    return running;
  }

  /** Runs a command to its end. */
  async run(
    args: readonly string[],
    options: { stdin?: string | Uint8Array; env?: Record<string, string> } = {},
  ): Promise<CommandResult> {
    const running = this.start(args, options);
    running.child.stdin.end(options.stdin ?? "");
    return running.ended;
  }

  /** Runs a command that has to work, with `--json`, and answers its result. */
  async json<T>(args: readonly string[], options: { stdin?: string | Uint8Array } = {}): Promise<T> {
    const { code, stdout, stderr } = await this.run([...args, "--json"], options);
    if (code !== 0) throw new Error(`catmails ${args.join(" ")} ended with ${code}: ${stderr}`);
    return JSON.parse(stdout) as T;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const running of this.#running) {
      running.child.kill("SIGKILL");
      await running.ended;
    }
    this.#directory[Symbol.dispose]();
  }
}

/** A command that has been started. */
export class RunningCommand {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<CommandResult>;
  readonly #output = { stdout: "", stderr: "" };

  constructor(child: ChildProcessWithoutNullStreams) {
    this.child = child;
    // A command that fails early does not read what it is given.
    child.stdin.on("error", () => undefined);
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("latin1").on("data", (text: string) => {
        this.#output[name] += text;
      });
    }
    this.ended = once(child, "close").then(([code]) => ({ code: code as number | null, ...this.#decoded() }));
  }

  /** Resolves with what matched once an output holds it; rejects when the command ends before. */
  async saw(name: "stdout" | "stderr", pattern: RegExp): Promise<string> {
    for (;;) {
      const match = pattern.exec(this.#decoded()[name]);
      if (match !== null) return match[0];
      const ended = await Promise.race([
        once(this.child[name], "data").then(() => null),
        this.ended.then((result) => result),
      ]);
      if (ended !== null && !pattern.test(ended[name])) {
        throw new Error(`ended with ${ended.code} and never said ${pattern}: ${ended.stdout}${ended.stderr}`);
      }
    }
  }

  // Kept as bytes until here, so that a character cut in two between chunks is whole again.
  #decoded(): { stdout: string; stderr: string } {
    const { stdout, stderr } = this.#output;
    return { stdout: Buffer.from(stdout, "latin1").toString(), stderr: Buffer.from(stderr, "latin1").toString() };
  }
}
