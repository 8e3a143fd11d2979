import { once } from "node:events";
import type { IncomingMessage, Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { TLSSocket } from "node:tls";
import Fastify, { type FastifyInstance } from "fastify";
import type { TimeFormatter } from "../clock.ts";
import { Refusal } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { AccessControl } from "../mail/access.ts";
import type { Feed } from "../mail/feed.ts";
import type { Mailboxes } from "../mail/mailboxes.ts";
import type { Reader } from "../mail/reading.ts";
import type { Metrics } from "../metrics.ts";
import { AnswerTurn } from "./answer-turn.ts";
import { limitArrival } from "./arrival.ts";
import { acceptBodies } from "./body.ts";
import { Connections } from "./connections.ts";
import { apiMethods, setHeaders } from "./cors.ts";
import { protocolFault, refuseConnection, sendError } from "./envelope.ts";
import { serveHealth } from "./health.ts";
import { IngestApi, type IngestSettings } from "./ingest/ingest-api.ts";
import type { SocketLimits } from "./push-socket.ts";
import { RequestTurns, type RequestHandler } from "./request-turns.ts";
import { SecureListener, type HttpsEncryption } from "./secure-listener.ts";
import { MailApi } from "./mail-api.ts";
import { nodeHttp } from "./node-http.ts";
import { SeedApi } from "./seed-api.ts";
import { SocketDoor } from "./socket-door.ts";
import { UnreadAnswers } from "./unread-answers.ts";
import { serveWellKnown, type WellKnown } from "./well-known.ts";

export interface HttpOptions {
  host: string;
  /** 0 takes a free one. */
  port: number;
  maxBodyBytes: number;
  access: AccessControl;
  reader: Reader;
  mailboxes: Mailboxes;
  feed: Feed;
  formatTime: TimeFormatter;
  log: Logger;
  metrics: Metrics;
  /** Answers `/readyz`; rejects when it cannot tell, which counts as no. */
  isReady(): Promise<boolean> | boolean;
  /** See `http/health.ts`. */
  warning?(): string | null;
  socket: SocketLimits;
  ingest: IngestSettings;
  /** A second listener, with TLS, for all the same. */
  https?: HttpsOptions;
  wellKnown?: WellKnown;
}

export interface HttpsOptions {
  host: string;
  /** 0 takes a free one. */
  port: number;
  encryption: HttpsEncryption;
  /** Browsers are told to come with TLS only (RFC 6797). Holds for the host on every port, so not for a host that also serves plain HTTP to people. */
  isStrict: boolean;
}

/** How long a browser remembers to come with TLS only; it is told anew with each answer. */
const strictSeconds = 180 * 86_400;

const headersTimeoutMs = 15_000;
/** Time to receive a request, not to answer it: waits may take longer. Posts of mail have a limit of their own. */
const requestTimeoutMs = 30_000;
/** Longer than the 60 s after which common load balancers close, so that it is never us who closes under a request. */
const keepAliveTimeoutMs = 72_000;
/** Silence on a connection while a request is being answered: longer than any wait, and the end of a client that does not read. */
const idleTimeoutMs = 90_000;

/** The API, WebSockets and health, on one listener for HTTP and maybe one for HTTPS. */
export class HttpServer implements AsyncDisposable {
  readonly #app: FastifyInstance;
  readonly #server: Server;
  readonly #connections: Connections;
  readonly #api: SeedApi;
  readonly #ingest: IngestApi;
  readonly #sockets: SocketDoor;
  #address = { host: "", port: 0 };
  #secure: SecureListener | null = null;
  #secureAddress: { host: string; port: number } | null = null;
  #draining: Promise<void> | null = null;

  /**
   * Resolves once connections are taken; rejects when an address cannot be had, with the system's fault, which names it.
   * Nothing listens then.
   */
  static async listen(options: HttpOptions): Promise<HttpServer> {
    await using opening = new AsyncDisposableStack();
    const http = new HttpServer(options);
    await http.#listen(options);
    opening.use(http);
    if (options.https !== undefined) await http.#listenSecurely(options, options.https);
    opening.move();
    return http;
  }

  private constructor(options: HttpOptions) {
    this.#ingest = new IngestApi(options);
    const { app, server } = createApp(options, this.#ingest);
    this.#app = app;
    this.#server = server;
    this.#connections = new Connections(server);
    const answers = { unread: new UnreadAnswers(), turn: new AnswerTurn() };
    this.#api = new SeedApi({ ...options, ...answers });
    this.#sockets = new SocketDoor({ ...options, limits: options.socket });
    app.addHook("onSend", (_request, reply, _payload, done) => {
      if (this.#draining !== null) reply.header("connection", "close");
      done();
    });
    if (options.https?.isStrict) sayStrict(app);
    this.#api.serve(app);
    this.#ingest.serve(app);
    new MailApi({ ...options, ...answers }).serve(app);
    serveHealth(app, options);
    if (options.wellKnown !== undefined) serveWellKnown(app, options.wellKnown);
    app.get("/", (_request, reply) => reply.send("Cat Mails: the API is at /api, new mail over WebSocket at /ws.\n"));
    server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
      this.#connections.keep(socket);
      this.#sockets.upgrade(request, socket, head);
    });
  }

  /** Where it listens, or listened. */
  get address(): { host: string; port: number } {
    return this.#address;
  }

  /** Takes no more mail; resolves when what is here has been stored or refused, within `timeoutMs`. All else goes on. */
  drainIngest(timeoutMs: number): Promise<void> {
    return this.#ingest.drain(timeoutMs);
  }

  /** Where it listens, or listened, for HTTPS; `null` where it does not. */
  get secureAddress(): { host: string; port: number } | null {
    return this.#secureAddress;
  }

  /**
   * Stops: takes no more connections, ends waits with `unavailable` and sockets with 1001 and their cursor, answers what is
   * in flight. Resolves when every connection is closed; those that are not after `timeoutMs` are cut.
   */
  drain(timeoutMs: number): Promise<void> {
    this.#draining ??= this.#drain(timeoutMs);
    return this.#draining;
  }

  /** Cuts every connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    const drained = this.drain(0);
    this.#connections.destroyAll();
    await drained;
  }

  async #listen({ host, port, log }: HttpOptions): Promise<void> {
    await this.#app.ready();
    this.#server.listen({ host, port });
    try {
      await once(this.#server, "listening");
    } catch (error) {
      this.#sockets[Symbol.dispose]();
      throw error;
    }
    const { address, port: taken } = this.#server.address() as AddressInfo;
    this.#address = { host: address, port: taken };
    // Running out of file descriptors is no reason to end the process.
    this.#server.on("error", (error) => log.error({ err: error }, "HTTP could not take a connection"));
  }

  async #listenSecurely({ log, metrics }: HttpOptions, https: HttpsOptions): Promise<void> {
    this.#secure = await SecureListener.listen(this.#server, {
      ...https,
      log,
      handshakeEnded: (outcome) => metrics.tlsHandshakes.inc({ listener: "https", outcome }),
    });
    this.#secureAddress = this.#secure.address;
  }

  async #drain(timeoutMs: number): Promise<void> {
    const closed = Promise.all([once(this.#server, "close"), this.#secure?.close()]);
    this.#server.close();
    this.#api.endWaits();
    this.#sockets.closeAll();
    this.#connections.closeIdle();
    const cut = setTimeout(() => this.#connections.destroyAll(), timeoutMs);
    await closed;
    clearTimeout(cut);
    this.#sockets[Symbol.dispose]();
    await this.#app.close();
  }
}

function createApp(options: HttpOptions, ingest: IngestApi): { app: FastifyInstance; server: Server } {
  const { log, maxBodyBytes } = options;
  let server: Server | undefined;
  const app = Fastify({
    // Its own lines would hold URLs, and with them keys.
    logger: false,
    bodyLimit: maxBodyBytes,
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    // Proxies are not believed; nothing here asks where a request came from.
    trustProxy: false,
    routerOptions: {
      ignoreTrailingSlash: true,
      // Parsed by readParameters, where a fault can be answered.
      querystringParser: () => ({}),
    },
    frameworkErrors: (error, request, reply) => {
      // No hook runs before these.
      setHeaders(request, reply);
      void sendError(reply, error, log);
    },
    clientErrorHandler: (error, socket) => refuseConnection(socket, protocolFault(error)),
    serverFactory: (handler: RequestHandler) => (server = createHttpServer(handler, ingest)),
  });
  if (server === undefined) throw new Error("The framework made no server");
  acceptBodies(app);
  app.addHook("onRequest", (request, reply, done) => {
    setHeaders(request, reply);
    done();
  });
  observe(app, options);
  app.setErrorHandler((error, _request, reply) => sendError(reply, error, log));
  app.setNotFoundHandler((request, reply) => {
    const isApi = /^\/api\/?(?:\?|$)/.test(request.raw.url ?? "");
    if (isApi) reply.header("allow", apiMethods);
    return sendError(reply, new Refusal(isApi ? "method_not_allowed" : "not_found"), log);
  });
  return { app, server };
}

/** No route has a schema; the framework's compilers would be loaded all the same, at a fifth of the time of a start. */
function noSchemas(): never {
  throw new Error("Routes here have no schemas");
}

function createHttpServer(handler: RequestHandler, ingest: IngestApi): Server {
  const turns = new RequestTurns(handler);
  const server = nodeHttp().createServer(
    {
      headersTimeout: headersTimeoutMs,
      requestTimeout: Math.max(requestTimeoutMs, ingest.longestArrivalMs),
      keepAliveTimeout: keepAliveTimeoutMs,
      connectionsCheckingInterval: 5000,
      noDelay: true,
      // Clients that offer HTTP/2 (`Upgrade: h2c`) mean an ordinary request, and so is an upgrade behind a request that is
      // not answered yet: its answer would come in the middle of the frames.
      shouldUpgradeCallback: ({ headers, socket }) =>
        headers.upgrade?.toLowerCase() === "websocket" && !turns.isBusy(socket),
    },
    (request, response) => {
      if (!ingest.takes(request)) limitArrival(request, requestTimeoutMs);
      turns.take(request, response);
    },
  );
  server.setTimeout(idleTimeoutMs);
  return server;
}

/** RFC 6797 section 7.2: only in answers under TLS. */
function sayStrict(app: FastifyInstance): void {
  app.addHook("onRequest", (request, reply, done) => {
    if (request.raw.socket instanceof TLSSocket) reply.header("strict-transport-security", `max-age=${strictSeconds}`);
    done();
  });
}

/** Counts and times every answer. Logs name the route, never the URL, which may hold a key. */
function observe(app: FastifyInstance, { log, metrics }: HttpOptions): void {
  app.addHook("onResponse", (request, reply, done) => {
    metrics.httpRequests.inc({ status: String(reply.statusCode) });
    metrics.httpSeconds.observe(reply.elapsedTime / 1000);
    if (log.isLevelEnabled("debug")) {
      const { method, routeOptions } = request;
      const ms = Math.round(reply.elapsedTime * 10) / 10;
      log.debug({ method, route: routeOptions.url ?? null, status: reply.statusCode, ms }, "Answered");
    }
    done();
  });
}
