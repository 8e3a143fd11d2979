import { setPriority } from "node:os";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { messageOf } from "../errors.ts";
import { freeBytes } from "../freed-bytes.ts";
import { temporaryError, type Authentication } from "./authentication.ts";
import { isListedIn } from "./block-zones.ts";
import { DnsResolver } from "./dns-resolver.ts";
import { checkSender, type MailAuth } from "./sender-check.ts";
import type { FromWorker, ToWorker, WorkerStart } from "./worker-messages.ts";

// Entry of the thread that a `SenderDesk` owns. It shares nothing with intake but the processor.

/** Niceness (Linux): when processors are scarce, mail coming in goes before what is found out about it. */
const niceness = 10;

class SenderWorker {
  readonly #port: MessagePort;
  readonly #start: WorkerStart;
  readonly #resolver: DnsResolver;
  #mailauth: Promise<MailAuth> | null = null;

  constructor(port: MessagePort, start: WorkerStart) {
    this.#port = port;
    this.#start = start;
    this.#resolver = new DnsResolver({ servers: start.servers });
  }

  async take(message: ToWorker): Promise<void> {
    const { id } = message;
    if (message.kind === "check") {
      this.#tell({ kind: "checked", id, found: await this.#check(message) });
      freeBytes(message.mail.raw);
    } else {
      const isListed = await isListedIn(this.#start.zones, message.ip, this.#resolver);
      this.#tell({ kind: "looked-up", id, isListed });
    }
  }

  async #check({ mail, dueAtMs }: Extract<ToWorker, { kind: "check" }>): Promise<Authentication> {
    try {
      const mailauth = await (this.#mailauth ??= import("mailauth"));
      const { hostname } = this.#start;
      const budgetMs = Math.max(1, dueAtMs - performance.timeOrigin - performance.now());
      return await checkSender(mail, { mailauth, resolver: this.#resolver, hostname, budgetMs });
    } catch (error) {
      // Whatever a strange mail may break in there, it is no reason to refuse the mail or to end the thread.
      return temporaryError(`The check failed: ${messageOf(error).slice(0, 200)}`);
    }
  }

  #tell(message: FromWorker): void {
    this.#port.postMessage(message);
  }
}

function start(port: MessagePort, options: WorkerStart): void {
  // Elsewhere a priority is the whole process's.
  if (process.platform === "linux") setPriority(niceness);
  const worker = new SenderWorker(port, options);
  port.on("message", (message: ToWorker) => void worker.take(message));
}

if (parentPort !== null) start(parentPort, workerData as WorkerStart);
