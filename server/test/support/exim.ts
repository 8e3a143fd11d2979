import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { findProgram } from "./system-program.ts";
import { TemporaryDirectory } from "./temporary-directory.ts";

const run = promisify(execFile);

/** A real Exim of its own, with its queue and log in a temporary directory: no daemon, it is run for each thing. Needs root. */
export class Exim implements Disposable {
  readonly #directory = new TemporaryDirectory();
  readonly #program: string;

  private constructor(program: string) {
    this.#program = program;
  }

  /** With this configuration, beside where an instance of its own keeps its things. */
  static async open(configuration: string): Promise<Exim> {
    const program = findProgram("exim4");
    if (program === null) throw new Error("exim4 is not installed");
    const exim = new Exim(program);
    const at = (name: string): string => join(exim.#directory.path, name);
    chmodSync(exim.#directory.path, 0o755);
    mkdirSync(at("spool"));
    await run("chown", ["Debian-exim", at("spool")]);
    const own = `spool_directory = ${at("spool")}\nlog_file_path = ${at("spool/%slog")}\nkeep_environment =\n`;
    writeFileSync(at("exim.conf"), `${own}${configuration}`, { mode: 0o644 });
    return exim;
  }

  /** Queues what these commands of SMTP bring, one after the other, then delivers all of it. */
  async deliver(batch: string): Promise<void> {
    const reader = spawn(this.#program, ["-C", this.#configuration, "-odq", "-bS"], {
      stdio: ["pipe", "ignore", "ignore"],
    });
    reader.stdin.end(batch);
    const [code] = (await once(reader, "exit")) as [number | null];
    if (code !== 0) throw new Error(`Exim took not all mails (exit code ${code})\n${this.log}`);
    await run(this.#program, ["-C", this.#configuration, "-q"]);
  }

  /** Plays a client's dialog with its SMTP server, and gives back what the server said. */
  async answers(dialog: string): Promise<string> {
    const running = run(this.#program, ["-C", this.#configuration, "-bhc", "192.0.2.9"]);
    running.child.stdin?.end(dialog);
    return (await running).stdout;
  }

  /** Everything it has logged. */
  get log(): string {
    return readFileSync(join(this.#directory.path, "spool/mainlog"), "utf8");
  }

  [Symbol.dispose](): void {
    this.#directory[Symbol.dispose]();
  }

  get #configuration(): string {
    return join(this.#directory.path, "exim.conf");
  }
}
