import { once } from "node:events";
import type { Server as HttpServer } from "node:http";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { TLSSocketOptions } from "node:tls";
import { handshakeTimeoutMs, shakeHands, type Encryption, type HandshakeOutcome } from "../encryption.ts";
import type { Logger } from "../log.ts";

/** What HTTPS needs beside what every listener needs: an authority that checks a name knocks here (RFC 8737). */
export interface HttpsEncryption extends Encryption {
  readonly hasChallenges: boolean;
  /** What a handshake that begins with these bytes is to be answered with; `null` when it is an ordinary one. */
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
const recordHeaderBytes = 5;
const maxRecordBytes = 16_384;

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
    this.#pending.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => this.#pending.delete(socket));
    if (this.#options.encryption.hasChallenges) this.#peek(socket);
    else this.#secure(socket, null);
  }

  #secure(socket: Socket, challenge: TLSSocketOptions | null): void {
    const { encryption, log, handshakeEnded } = this.#options;
    const options = challenge ?? { ...encryption.handshakeOptions(), ALPNProtocols: ["http/1.1"] };
    const secure = shakeHands(socket, { ...options, timeoutMs: handshakeTimeoutMs }, ({ outcome, error }) => {
      this.#pending.delete(socket);
      handshakeEnded(outcome);
      if (outcome !== "done") log.debug({ err: error, reason: outcome }, "HTTPS handshake failed");
      else if (challenge === null) this.#http.emit("connection", secure);
      // The handshake was the whole answer (RFC 8737 section 3).
      else secure.on("error", () => undefined).destroySoon();
    });
  }

  /** Waits for the first record, which is the whole of an authority's ClientHello, and gives it back to the socket. */
  #peek(socket: Socket): void {
    const timer = setTimeout(() => socket.destroy(), handshakeTimeoutMs);
    socket.once("close", () => clearTimeout(timer));
    let hello: Buffer = Buffer.alloc(0);
    const read = (): void => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      hello = Buffer.concat([hello, chunk]);
      if (hello.length < recordBytes(hello)) return;
      clearTimeout(timer);
      socket.off("readable", read).off("end", leave);
      socket.unshift(hello);
      this.#secure(socket, this.#options.encryption.challengeFor(hello));
    };
    const leave = (): void => void socket.destroy();
    socket.on("readable", read).on("end", leave);
  }
}

/** Length of the record that begins here (RFC 8446 section 5.1), as far as it is known; never more than a record may have. */
function recordBytes(start: Buffer): number {
  if (start.length < recordHeaderBytes) return recordHeaderBytes;
  return recordHeaderBytes + Math.min(start.readUInt16BE(3), maxRecordBytes);
}
