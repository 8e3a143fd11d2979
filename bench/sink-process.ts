import { access, constants } from "node:fs/promises";
import { createServer, connect } from "node:net";
import { once } from "node:events";
import { delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { MeasuredProcess } from "./measured-process.ts";
import type { SmtpTarget } from "./smtp-lane.ts";

const host = "127.0.0.1";
const maxSessions = 2_000;
const startTries = 100;

/** `smtp-sink` of Postfix, which throws every mail away: what others on other machines can be compared through. */
export class SinkProcess implements AsyncDisposable {
  readonly process: MeasuredProcess;
  readonly smtp: SmtpTarget;

  private constructor(process: MeasuredProcess, smtp: SmtpTarget) {
    this.process = process;
    this.smtp = smtp;
  }

  /** `null` when it is not on this machine. */
  static async start(cwd: string): Promise<SinkProcess | null> {
    const program = await findProgram("smtp-sink");
    if (program === null) return null;
    const smtp = { host, port: await freePort() };
    // It refuses to run as root.
    const user = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
    const args = [...user, "-m", String(maxSessions), `${host}:${smtp.port}`, "1000"];
    const child = await MeasuredProcess.spawn({ program, args, cwd, env: process.env, logPath: join(cwd, "sink.log") });
    await waitForPort(smtp);
    return new SinkProcess(child, smtp);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.process[Symbol.asyncDispose]();
  }
}

async function findProgram(name: string): Promise<string | null> {
  for (const dir of [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin"]) {
    const path = join(dir, name);
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return path;
  }
  return null;
}

/** Free a moment ago: it cannot take a port by itself. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("No port");
  return address.port;
}

async function waitForPort(target: SmtpTarget): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      const socket = connect(target);
      await once(socket, "connect");
      socket.destroy();
      return;
    } catch (error) {
      if (tries === startTries) throw error;
      await delay(20);
    }
  }
}
