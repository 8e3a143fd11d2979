import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import type { Logger } from "../log.ts";
import { Admission } from "./admission.ts";
import { ByteBudget } from "./byte-budget.ts";
import { Connection } from "./connection.ts";
import type { Intake } from "./intake.ts";
import type { SmtpLimits } from "./limits.ts";
import type { ConnectionRefusal, SmtpMetrics } from "./metrics.ts";
import { replies, type Reply } from "./replies.ts";
import { Session } from "./session.ts";

/** One address that connections are taken on. */
export interface SmtpListener {
  host: string;
  /** 0 takes a free one. */
  port: number;
}

export interface SmtpOptions {
  /** At least one. All of them share the limits. */
  listeners: readonly SmtpListener[];
  /** Our name in the greeting. */
  hostname: string;
  limits: SmtpLimits;
  intake: Intake;
  log: Logger;
  metrics?: SmtpMetrics;
}

/** How often idle connections are looked for; less often than this the linger of a closing one grows long. */
const maxSweepMs = 1_000;

/**
 * The SMTP door: receives mail by RFC 5321 and hands it to its intake. What it keeps is in `docs/smtp.md`.
 * 250 after the final dot is sent only when the intake has said `stored`.
 */
export class SmtpServer implements AsyncDisposable {
  readonly #options: SmtpOptions;
  readonly #servers: Server[] = [];
  readonly #admission: Admission;
  readonly #budget: ByteBudget;
  readonly #connections = new Set<Connection>();
  readonly #refused = new Set<Socket>();
  readonly #allClosed = Promise.withResolvers<void>();
  readonly #sweep: NodeJS.Timeout;
  #isStopping = false;

  /**
   * Resolves once connections are taken on every listener. Rejects with the fault of the first that cannot be listened on,
   * whose `address` and `port` node:net names; the others are closed again.
   */
  static async listen(options: SmtpOptions): Promise<SmtpServer> {
    await using opening = new AsyncDisposableStack();
    const smtp = opening.use(new SmtpServer(options));
    for (const listener of options.listeners) await smtp.#listen(listener);
    opening.move();
    return smtp;
  }

  private constructor(options: SmtpOptions) {
    const { limits } = options;
    this.#options = options;
    this.#admission = new Admission(limits.maxConnections, limits.maxConnectionsPerIp);
    this.#budget = new ByteBudget(limits.maxBufferedBytes);
    // One timer for all: re-arming one for each connection and chunk is what makes idle limits cost.
    this.#sweep = setInterval(() => this.#checkIdle(), Math.min(limits.idleTimeoutMs / 4, maxSweepMs));
  }

  /** Where the first listener listens. */
  get address(): { host: string; port: number } {
    const address = this.#servers[0]?.address() ?? null;
    if (address === null || typeof address === "string") throw new Error("the SMTP server is not listening");
    return { host: address.address, port: address.port };
  }

  /** Open sessions. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /**
   * Stops: takes no connection any more, ends idle sessions with 421 4.3.2 at once and others after the reply to the
   * mail in flight. Resolves when all are closed; what is left after `timeoutMs` is dropped. May be called again.
   */
  async drain(timeoutMs: number): Promise<void> {
    if (!this.#isStopping) {
      this.#isStopping = true;
      for (const server of this.#servers) server.close();
      this.#resolveWhenClosed();
    }
    for (const connection of this.#connections) connection.stop();
    const timer = setTimeout(() => this.#destroyAll(), timeoutMs);
    try {
      await this.#allClosed.promise;
    } finally {
      clearTimeout(timer);
      clearInterval(this.#sweep);
    }
  }

  /** Drops every connection at once. A mail that was handed to the intake is still stored; its sender is not told. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#destroyAll();
    await this.drain(0);
  }

  async #listen({ host, port }: SmtpListener): Promise<void> {
    // Half-open, so that a client which ends its side still gets every reply.
    const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true });
    server.listen(port, host);
    await once(server, "listening");
    this.#servers.push(server);
    server.on("close", () => this.#resolveWhenClosed());
    server.on("error", (error) => this.#options.log.error({ err: error }, "The SMTP listener failed"));
    server.on("connection", (socket) => this.#accept(socket));
  }

  #accept(socket: Socket): void {
    const remote = socket.remoteAddress;
    // Gone before we looked.
    if (remote === undefined) return void socket.destroy();
    if (this.#isStopping) return this.#refuse(socket, "stopping");
    const admittance = this.#admission.enter(remote);
    if ("refusal" in admittance) return this.#refuse(socket, admittance.refusal);
    this.#open(socket, remote, admittance.network);
  }

  #open(socket: Socket, remote: string, network: string): void {
    const { hostname, limits, intake, log, metrics } = this.#options;
    const session = new Session({
      hostname,
      limits,
      budget: this.#budget,
      surroundings: { intake, log, metrics, maxRecipients: limits.maxRecipients },
      remote,
    });
    metrics?.connectionOpened();
    log.debug({ remote }, "SMTP connection opened");
    const connection = new Connection(socket, session, { hostname, idleTimeoutMs: limits.idleTimeoutMs, log, remote });
    this.#connections.add(connection);
    socket.on("close", () => {
      this.#connections.delete(connection);
      this.#admission.leave(network);
      metrics?.connectionClosed();
      log.debug({ remote, mails: session.mails }, "SMTP connection closed");
      this.#resolveWhenClosed();
    });
  }

  #refuse(socket: Socket, reason: ConnectionRefusal): void {
    this.#options.metrics?.connectionRefused(reason);
    this.#options.log.debug({ reason, remote: socket.remoteAddress }, "SMTP connection refused");
    this.#refused.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#refused.delete(socket));
    socket.end(`${connectionRefusals[reason]}\r\n`, "latin1", () => socket.destroy());
  }

  /** The listener says that it is closed before the last sockets do. */
  #resolveWhenClosed(): void {
    if (this.#servers.every(({ listening }) => !listening) && this.#connections.size === 0) this.#allClosed.resolve();
  }

  #checkIdle(): void {
    const nowMs = performance.now();
    for (const connection of this.#connections) connection.checkIdle(nowMs);
  }

  #destroyAll(): void {
    for (const connection of this.#connections) connection.destroy();
    for (const socket of this.#refused) socket.destroy();
  }
}

const connectionRefusals: Readonly<Record<ConnectionRefusal, Reply>> = {
  too_many: replies.tooManyConnections,
  too_many_from_address: replies.tooManyFromAddress,
  stopping: replies.stopping,
};
