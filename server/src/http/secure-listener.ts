import { once } from "node:events";
import type { Server as HttpServer } from "node:http";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { TLSSocketOptions } from "node:tls";
import { handshakeTimeoutMs, shakeHands, type Encryption, type HandshakeOutcome } from "../encryption.ts";
import type { Logger } from "../log.ts";

/** What HTTPS needs beside what every listener needs: an authority that checks a name knocks here (RFC 8737). */
export interface HttpsEncryption extends Encryption {
  /** What a handshake that begins with this record is to be answered with; `null` when it is an ordinary one. */
  challengeFor(hello: Buffer): TLSSocketOptions | null;
}

export interface SecureListenerOptions {
  host: string;
  /** 0 takes a free one. */
  port: number;
  encryption: HttpsEncryption;
  log: Logger;
  handshakeEnded: (outcome: HandshakeOutcome) => void;
}

/** Handshakes at a time; who comes meanwhile is dropped. Once it is through, a connection is like one of plain HTTP. */
const maxHandshakes = 1_000;

/** Takes connections, speaks TLS on them, and hands them to an HTTP server as if it had taken them itself. */
export class SecureListener {
  readonly #server: Server;
  readonly #http: HttpServer;
  readonly #options: SecureListenerOptions;
  /** Connections whose handshake is not through. */
  readonly #pending = new Set<Socket>();

  /** Resolves once connections are taken; rejects when the address cannot be had. */
  static async listen(http: HttpServer, options: SecureListenerOptions): Promise<SecureListener> {
    const listener = new SecureListener(http, options);
    listener.#server.listen({ host: options.host, port: options.port });
    await once(listener.#server, "listening");
    listener.#server.on("error", (error) => options.log.error({ err: error }, "HTTPS could not take a connection"));
    return listener;
  }

  private constructor(http: HttpServer, options: SecureListenerOptions) {
    this.#http = http;
    this.#options = options;
    // Half-open as those of node:http, which answers a client that has ended its side.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true });
    this.#server.on("connection", (socket) => this.#accept(socket));
  }

  get address(): { host: string; port: number } {
    const { address, port } = this.#server.address() as AddressInfo;
    return { host: address, port };
  }

  /** Takes no more connections and drops those that are not through; resolves when all that were handed over are closed too. */
  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#pending) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    if (this.#pending.size >= maxHandshakes) return void socket.destroy();
    const { encryption } = this.#options;
    let challenge: TLSSocketOptions | null = null;
    this.#pending.add(socket);
    shakeHands(socket, {
      timeoutMs: handshakeTimeoutMs,
      optionsFor: (hello) => {
        challenge = encryption.challengeFor(hello);
        return challenge ?? { ...encryption.handshakeOptions(hello), ALPNProtocols: ["http/1.1"] };
      },
      onEnd: (end) => {
        this.#pending.delete(socket);
        this.#options.handshakeEnded(end.outcome);
        if (end.outcome !== "done") {
          this.#options.log.debug({ err: end.error, reason: end.outcome }, "HTTPS handshake failed");
        } else if (challenge === null) this.#http.emit("connection", end.secure);
        // The handshake was the whole answer (RFC 8737 section 3).
        else end.secure.on("error", () => undefined).destroySoon();
      },
    });
  }
}
