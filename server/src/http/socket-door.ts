import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer, type ServerOptions, type WebSocket } from "ws";
import type { TimeFormatter } from "../clock.ts";
import type { Logger } from "../log.ts";
import { scopeFilters, splitAddresses, type AccessControl } from "../mail/access.ts";
import type { Feed } from "../mail/feed.ts";
import type { Follower } from "../mail/follower.ts";
import type { Metrics } from "../metrics.ts";
import { closeOf } from "./close-code.ts";
import { answerFor, refuseConnection } from "./envelope.ts";
import { Parameters } from "./parameters.ts";
import { PresentedKey } from "./presented-key.ts";
import { PushFrames } from "./push-frame.ts";
import { PushSocket, type SocketLimits } from "./push-socket.ts";

/** What the WebSocket door stands on. */
export interface SocketDoorOptions {
  access: AccessControl;
  feed: Feed;
  formatTime: TimeFormatter;
  log: Logger;
  metrics: Metrics;
  limits: SocketLimits;
}

/** How long a closed client has to say goodbye before its connection is cut. */
const closeTimeoutMs = 2000;
const maxTickMs = 1000;
const minTickMs = 10;

const serverOptions: ServerOptions & { closeTimeout: number } = {
  noServer: true,
  clientTracking: false,
  // Compressing costs more memory per socket than the mails it would make smaller.
  perMessageDeflate: false,
  maxPayload: 4096,
  maxFragments: 16,
  // Ours count, so that pings without end are noticed.
  autoPong: false,
  closeTimeout: closeTimeoutMs,
};

/** WebSockets at `/`, `/ws`, and any path on a host that begins with `websocket.`: each follows the feed of its key. */
export class SocketDoor implements Disposable {
  readonly #options: SocketDoorOptions;
  readonly #frames: PushFrames;
  readonly #server = new WebSocketServer(serverOptions);
  readonly #sockets = new Set<PushSocket>();
  /** One timer for all sockets. */
  readonly #timer: NodeJS.Timeout;
  #closing = false;

  constructor(options: SocketDoorOptions) {
    this.#options = options;
    this.#frames = new PushFrames(options.formatTime);
    const { stallTimeoutMs, pingIntervalMs, deadTimeoutMs } = options.limits;
    const tickMs = Math.min(stallTimeoutMs, pingIntervalMs, deadTimeoutMs) / 5;
    this.#timer = setInterval(() => this.#tick(), Math.max(minTickMs, Math.min(maxTickMs, tickMs)));
    this.#timer.unref();
  }

  /** Takes over a connection that asks for an upgrade to WebSocket. */
  upgrade(request: IncomingMessage, connection: Duplex, head: Buffer): void {
    // Until the handshake nobody else listens, and an error without a listener would end the process.
    connection.on("error", ignore);
    if (!servesSocket(request)) refuseConnection(connection, "not_found");
    else if (this.#closing) refuseConnection(connection, "unavailable");
    else
      this.#open(request, connection, head).catch((error: unknown) => {
        this.#options.log.error({ err: error }, "A WebSocket could not be opened");
        connection.destroy();
      });
  }

  /** Closes every socket with 1001 and its cursor, and opens no more. */
  closeAll(): void {
    this.#closing = true;
    for (const socket of this.#sockets) socket.shutDown();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#server.close();
  }

  async #open(request: IncomingMessage, connection: Duplex, head: Buffer): Promise<void> {
    const { limits, metrics, log } = this.#options;
    const socket = new PushSocket({ limits, metrics, frames: this.#frames });
    let follower: Follower;
    try {
      follower = await this.#follow(request, socket);
    } catch (error) {
      const { code, reason } = closeOf(answerFor(error, log));
      metrics.socketsClosed.inc({ code: String(code) });
      this.#handshake(request, connection, head)?.on("error", ignore).close(code, reason);
      return;
    }
    const ws = this.#handshake(request, connection, head);
    if (ws === null) {
      follower.close();
      return;
    }
    this.#sockets.add(socket);
    socket.attach(ws, connection, follower, () => this.#sockets.delete(socket));
    if (this.#closing) socket.shutDown();
  }

  /** Throws the refusal that the client is to see. */
  async #follow(request: IncomingMessage, sink: PushSocket): Promise<Follower> {
    const { access: control, feed } = this.#options;
    const parameters = Parameters.ofTarget(request.url ?? "");
    const key = new PresentedKey(request.headers.authorization, parameters);
    const access = await key.authenticate(control);
    const since = parameters.integer("since");
    const addresses = splitAddresses(parameters.mail);
    const all = addresses.length === 0;
    return await feed.follow({
      access,
      addresses: all ? null : addresses,
      filters: all ? scopeFilters(access) : await control.resolve(access, addresses),
      ...(since === undefined ? {} : { since }),
      sink,
    });
  }

  /** Completes the handshake; `null` when it is no good one (answered already) or the client has gone. */
  #handshake(request: IncomingMessage, connection: Duplex, head: Buffer): WebSocket | null {
    let opened: WebSocket | null = null;
    this.#server.handleUpgrade(request, connection, head, (ws) => {
      opened = ws;
    });
    return opened;
  }

  #tick(): void {
    const nowMs = Date.now();
    for (const socket of this.#sockets) socket.tick(nowMs);
  }
}

function ignore(): void {}

function servesSocket({ url = "/", headers }: IncomingMessage): boolean {
  const path = url.split("?", 1)[0];
  return path === "/" || path === "/ws" || /^websocket\./i.test(headers.host ?? "");
}
