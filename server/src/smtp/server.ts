import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import type { Encryption } from "../encryption.ts";
import type { Logger } from "../log.ts";
import type { NetworkSet } from "../network.ts";
import { Admission } from "./admission.ts";
import { ByteBudget } from "./byte-budget.ts";
import type { Spooling } from "./content.ts";
import { Connection } from "./connection.ts";
import type { Intake } from "./intake.ts";
import type { SmtpLimits } from "./limits.ts";
import type { ConnectionRefusal, SmtpMetrics } from "./metrics.ts";
import { readProxyHeader } from "./proxy-stage.ts";
import { Rates, type Visitor } from "./rates.ts";
import { replies, type Protocol, type Reply } from "./replies.ts";
import { Session } from "./session.ts";
import type { Spool } from "./spool.ts";
import { Stress } from "./stress.ts";
import { removeStaleSocket } from "./unix-socket.ts";
import { WriteTurn } from "./write-turn.ts";

/** Where connections are taken: a port, of which 0 takes a free one, or a Unix socket, which every local user may open. */
export type ListenPlace = { host: string; port: number } | { path: string };

/** One place that connections are taken on, and what is spoken there. */
export type SmtpListener = ListenPlace & {
  /** Default: `smtp`. */
  protocol?: Protocol;
  /** STARTTLS (RFC 3207), or TLS before the greeting (RFC 8314 section 3). Default: `starttls` where there is an `encryption`. */
  tls?: "none" | "starttls" | "implicit";
};

/** Why {@link SmtpServer.listen} failed: `listener` is the one that cannot be listened on, `cause` what node:net says. */
export class ListenError extends Error {
  override name = "ListenError";
  readonly listener: SmtpListener;

  constructor(listener: SmtpListener, cause: unknown) {
    super("cannot listen", { cause });
    this.listener = listener;
  }
}

export interface SmtpOptions {
  /** At least one. All of them share the limits. */
  listeners: readonly SmtpListener[];
  /** Our name in the greeting. */
  hostname: string;
  limits: SmtpLimits;
  /** Who has to begin each SMTP connection with a PROXY header, and is believed; LMTP listeners know no proxies. */
  proxyPeers?: NetworkSet;
  /** Where large mails wait while they come in; without it all of them are held in memory. */
  spool?: Spool;
  intake: Intake;
  /** Without it no TLS is spoken. */
  encryption?: Encryption;
  log: Logger;
  metrics?: SmtpMetrics;
}

/** How often idle and slow connections are looked for; less often than this the linger of a closing one grows long. */
const maxSweepMs = 1_000;
/** A proxy sends its header at once, so that only a wrong one needs this long. */
const proxyTimeoutMs = 5_000;

/**
 * The SMTP door: receives mail by RFC 5321, and from our own mail servers by RFC 2033 (LMTP), and hands it to its intake. What it keeps is in `docs/smtp.md`.
 * 250 after the final dot is sent only when the intake has said `stored`.
 */
export class SmtpServer implements AsyncDisposable {
  readonly #options: SmtpOptions;
  readonly #servers: Server[] = [];
  /** A mail server of our own decides itself how much it sends, and may meet many unknown recipients in a row. */
  readonly #lmtpLimits: SmtpLimits;
  readonly #admission: Admission;
  readonly #budget: ByteBudget;
  readonly #spooling: Spooling | null;
  readonly #stress: Stress;
  readonly #rates: Rates;
  readonly #turn: WriteTurn;
  readonly #connections = new Set<Connection>();
  /** Of listed proxies that have not said yet for whom they speak. */
  readonly #arriving = new Set<Socket>();
  readonly #refused = new Set<Socket>();
  readonly #allClosed = Promise.withResolvers<void>();
  readonly #sweep: NodeJS.Timeout;
  #isStopping = false;

  /**
   * Resolves once connections are taken on every listener. Rejects with a {@link ListenError} for the first that cannot be
   * listened on; the others are closed again.
   */
  static async listen(options: SmtpOptions): Promise<SmtpServer> {
    await using opening = new AsyncDisposableStack();
    const smtp = opening.use(new SmtpServer(options));
    for (const listener of options.listeners) await smtp.#listen(listener);
    opening.move();
    return smtp;
  }

  private constructor(options: SmtpOptions) {
    const { limits, spool, log, metrics, intake } = options;
    this.#options = options;
    this.#turn = new WriteTurn(() => intake.handOver?.());
    this.#lmtpLimits = { ...limits, maxMails: Infinity, maxErrors: Infinity, maxSessionMs: Infinity };
    this.#admission = new Admission(limits.maxConnections, limits.maxConnectionsPerIp);
    this.#spooling = spool === undefined ? null : { spool, afterBytes: limits.spoolBytes, log, metrics };
    this.#stress = new Stress(limits, { log, metrics });
    this.#rates = new Rates(limits.rates, log);
    this.#budget = new ByteBudget(limits.maxBufferedBytes);
    // One timer for all: re-arming one for each connection and chunk is what makes idle limits cost.
    const shortestMs = Math.min(limits.idleTimeoutMs, limits.stressIdleTimeoutMs, limits.minRatePeriodMs);
    this.#sweep = setInterval(() => this.#checkPace(), Math.min(shortestMs / 4, maxSweepMs));
  }

  /** Where the first listener listens, which must have a port. */
  get address(): { host: string; port: number } {
    const [place] = this.places;
    if (place === undefined || "path" in place) throw new Error("the SMTP server listens on no port");
    return place;
  }

  /** Where each listener listens, in the order of the options. */
  get places(): ListenPlace[] {
    return this.#servers.map((server) => {
      const address = server.address();
      if (address === null) throw new Error("the SMTP server is not listening");
      return typeof address === "string" ? { path: address } : { host: address.address, port: address.port };
    });
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
      for (const socket of this.#arriving) socket.destroy();
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

  async #listen(listener: SmtpListener): Promise<void> {
    // Half-open, so that a client which ends its side still gets every reply.
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    try {
      if ("path" in listener) await removeStaleSocket(listener.path);
      server.listen({ ...listener, readableAll: true, writableAll: true });
      await once(server, "listening");
    } catch (error) {
      throw new ListenError(listener, error);
    }
    this.#servers.push(server);
    server.on("close", () => this.#resolveWhenClosed());
    server.on("error", (error) => this.#options.log.error({ err: error }, "The SMTP listener failed"));
    const { protocol = "smtp", tls = "starttls" } = listener;
    server.on("connection", (socket) => {
      const remote = "path" in listener ? "local" : socket.remoteAddress;
      // Gone before we looked.
      if (remote === undefined) socket.destroy();
      else this.#accept(socket, { protocol, tls, remote });
    });
  }

  #accept(socket: Socket, peer: Peer): void {
    if (this.#isStopping) return this.#refuse(socket, peer, "stopping");
    const isProxied = peer.protocol === "smtp" && this.#options.proxyPeers?.has(peer.remote) === true;
    if (isProxied) void this.#acceptProxied(socket, peer);
    else this.#admit(socket, peer);
  }

  /** Until the client is known, its connection counts towards the limit of all only. Never rejects. */
  async #acceptProxied(socket: Socket, proxy: Peer): Promise<void> {
    const arrival = this.#admission.enter(null);
    if ("refusal" in arrival) return this.#refuse(socket, proxy, arrival.refusal);
    this.#arriving.add(socket);
    socket.on("error", () => socket.destroy());
    const header = await readProxyHeader(socket, Math.min(proxyTimeoutMs, this.#options.limits.idleTimeoutMs));
    this.#arriving.delete(socket);
    this.#admission.leave(null);
    if (this.#isStopping || socket.destroyed) return void socket.destroy();
    if ("bytes" in header) {
      return this.#admit(socket, { ...proxy, remote: header.kind === "client" ? header.ip : proxy.remote });
    }
    this.#options.metrics?.connectionRefused("bad_proxy_header");
    this.#options.log.warn(
      { proxy: proxy.remote, reason: header.kind },
      "A listed proxy did not begin with a PROXY header",
    );
    socket.destroy();
  }

  #admit(socket: Socket, peer: Peer): void {
    // All of a mail server's own connections come from one address.
    const visitor = peer.protocol === "lmtp" ? null : this.#rates.visitor(peer.remote);
    if (visitor?.mayConnect() === false) return this.#refuse(socket, peer, "too_often");
    const admittance = this.#admission.enter(peer.protocol === "lmtp" ? null : peer.remote);
    if ("refusal" in admittance) return this.#refuse(socket, peer, admittance.refusal);
    this.#open(socket, peer, { visitor, network: admittance.network });
  }

  #open(socket: Socket, { protocol, tls, remote }: Peer, { visitor, network }: Caller): void {
    const { hostname, intake, log, metrics, encryption = null } = this.#options;
    const limits = protocol === "lmtp" ? this.#lmtpLimits : this.#options.limits;
    const patience = protocol === "lmtp" ? this.#lmtpLimits : this.#stress;
    const session = new Session({
      protocol,
      hostname,
      limits,
      budget: this.#budget,
      spooling: this.#spooling,
      patience,
      surroundings: { intake, log, metrics, maxRecipients: limits.maxRecipients, visitor },
      remote,
      encryption: tls === "starttls" ? encryption : null,
    });
    metrics?.connectionOpened();
    log.debug({ protocol, remote }, "SMTP connection opened");
    const connection = new Connection(socket, session, {
      turn: this.#turn,
      protocol,
      hostname,
      limits,
      patience,
      log,
      metrics,
      remote,
      encryption,
      isImplicitTls: tls === "implicit",
    });
    this.#connections.add(connection);
    this.#stress.note(this.#connections.size);
    socket.on("close", () => {
      this.#connections.delete(connection);
      this.#stress.note(this.#connections.size);
      this.#admission.leave(network);
      metrics?.connectionClosed();
      log.debug({ remote, mails: session.mails }, "SMTP connection closed");
      this.#resolveWhenClosed();
    });
  }

  #refuse(socket: Socket, { tls }: Peer, reason: keyof typeof connectionRefusals): void {
    this.#options.metrics?.connectionRefused(reason);
    this.#options.log.debug({ reason, remote: socket.remoteAddress }, "SMTP connection refused");
    this.#refused.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#refused.delete(socket));
    // To say it under TLS would cost more than to take the connection.
    const words = tls === "implicit" ? "" : `${connectionRefusals[reason]}\r\n`;
    socket.end(words, "latin1", () => socket.destroy());
  }

  /** The listener says that it is closed before the last sockets do. */
  #resolveWhenClosed(): void {
    if (this.#servers.every(({ listening }) => !listening) && this.#connections.size === 0) this.#allClosed.resolve();
  }

  #checkPace(): void {
    const nowMs = performance.now();
    for (const connection of this.#connections) connection.checkPace(nowMs);
  }

  #destroyAll(): void {
    for (const connection of this.#connections) connection.destroy();
    for (const socket of this.#refused) socket.destroy();
    for (const socket of this.#arriving) socket.destroy();
  }
}

/** Who is at the other end: the client itself, also where a proxy speaks for it. */
interface Peer {
  protocol: Protocol;
  tls: "none" | "starttls" | "implicit";
  remote: string;
}

/** Who counts a client, and its network where that is counted. */
interface Caller {
  visitor: Visitor | null;
  network: string | null;
}

const connectionRefusals = {
  too_many: replies.tooManyConnections,
  too_many_from_address: replies.tooManyFromAddress,
  too_often: replies.connectsTooOften,
  stopping: replies.stopping,
} as const satisfies Partial<Record<ConnectionRefusal, Reply>>;
