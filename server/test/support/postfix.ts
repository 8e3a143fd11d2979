import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { findProgram } from "./system-program.ts";
import { TemporaryDirectory } from "./temporary-directory.ts";
import { until } from "./until.ts";

const run = promisify(execFile);

/** Its `public` socket stands in for port 25. */
const services = `
cleanup   unix        n - n - 0   cleanup
qmgr      unix        n - n 300 1 qmgr
rewrite   unix        - - n - -   trivial-rewrite
bounce    unix        - - n - 0   bounce
defer     unix        - - n - 0   bounce
trace     unix        - - n - 0   bounce
verify    unix        - - n - 1   verify
proxymap  unix        - - n - -   proxymap
smtp      unix        - - n - -   smtp
lmtp      unix        - - n - -   lmtp
error     unix        - - n - -   error
retry     unix        - - n - -   error
anvil     unix        - - n - 1   anvil
scache    unix        - - n - 1   scache
tlsmgr    unix        - - n - 1   tlsmgr
postlog   unix-dgram  n - n - 1   postlogd
smtpd     unix        n - n - -   smtpd
`;

/** A real Postfix of its own, with its queue and log in a temporary directory. Needs root. */
export class Postfix implements AsyncDisposable {
  readonly #directory: TemporaryDirectory;
  readonly #master: ChildProcess;

  private constructor(directory: TemporaryDirectory, master: ChildProcess) {
    this.#directory = directory;
    this.#master = master;
  }

  /** Starts with these lines of `main.cf` beside what an instance of its own needs; resolves once it takes mail. */
  static async start(main: string): Promise<Postfix> {
    const directory = new TemporaryDirectory();
    const at = (name: string): string => join(directory.path, name);
    // Its processes run as user postfix.
    chmodSync(directory.path, 0o755);
    for (const name of ["conf", "queue", "data"]) mkdirSync(at(name));
    await run("chown", ["postfix", at("data")]);
    const own = `
compatibility_level = 3.6
queue_directory = ${at("queue")}
data_directory = ${at("data")}
maillog_file = ${at("log")}
maillog_file_prefixes = ${directory.path}
myhostname = mta.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
`;
    writeFileSync(at("conf/main.cf"), `${own}${main}`);
    writeFileSync(at("conf/master.cf"), services);
    const master = spawn(program("postfix"), ["-c", at("conf"), "start-fg"], { stdio: "ignore" });
    const postfix = new Postfix(directory, master);
    await until("Postfix takes mail", () => existsSync(postfix.#socket));
    return postfix;
  }

  /** Hands in so many mails of 2 KB on 10 connections, each to `<number><to>`; fails where one is refused. */
  async send(count: number, to: string): Promise<void> {
    const options = ["-m", String(count), "-s", "10", "-l", "2048", "-N", "-f", "s@there.test", "-t", to];
    await run(program("smtp-source"), [...options, `unix:${this.#socket}`]);
  }

  /** Everything it has logged. */
  get log(): string {
    return readFileSync(join(this.#directory.path, "log"), "utf8");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = this.#master.exitCode === null ? once(this.#master, "exit") : null;
    await run(program("postfix"), ["-c", join(this.#directory.path, "conf"), "stop"]);
    await ended;
    this.#directory[Symbol.dispose]();
  }

  get #socket(): string {
    return join(this.#directory.path, "queue/public/smtpd");
  }
}

function program(name: string): string {
  const path = findProgram(name);
  if (path === null) throw new Error(`${name} is not installed`);
  return path;
}
