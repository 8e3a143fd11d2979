import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import type { SeedPush } from "@catmails/client";
import { readServerFrame } from "../support/server-frames.ts";

/** How a subscriber's connection may break: with a FIN, with a reset, or after a close frame as RFC 6455 asks. */
export type Cut = "end" | "reset" | "close";

export interface FeedEnd {
  /** From the server's close frame; `null` when there was none. */
  code: number | null;
  reason: string;
}

export interface FeedSocketOptions {
  /** As the server reports it. */
  websocket: string;
  /** Query: `key`, `since`, `mail`. */
  query: Readonly<Record<string, string>>;
  onMail: (push: SeedPush) => void;
}

/**
 * A WebSocket subscriber on a bare socket, so that a test may break it at any byte or stop reading. After a cut no mail
 * is handed out any more, whatever had come in already.
 */
export class FeedSocket implements Disposable {
  /** Resolves when the handshake is done; rejects with the answer when it is refused. */
  readonly opened: Promise<void>;
  readonly ended: Promise<FeedEnd>;
  readonly #socket: Socket;
  readonly #onMail: (push: SeedPush) => void;
  readonly #open = Promise.withResolvers<void>();
  readonly #pong = Promise.withResolvers<void>();
  readonly #end = Promise.withResolvers<FeedEnd>();
  #bytes: Buffer = Buffer.alloc(0);
  #isOpen = false;
  #isCut = false;
  /** Fragments of the message that is coming (RFC 6455 section 5.4). */
  #fragments: Buffer[] = [];
  #closing: FeedEnd = { code: null, reason: "" };

  constructor({ websocket, query, onMail }: FeedSocketOptions) {
    const url = new URL(websocket);
    url.search = new URLSearchParams(query).toString();
    this.#onMail = onMail;
    this.opened = this.#open.promise;
    this.ended = this.#end.promise;
    // A cut during the handshake is nobody's fault.
    this.opened.catch(() => undefined);
    this.#socket = connect(Number(url.port), url.hostname);
    this.#socket.write(
      `GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n\r\n`,
    );
    this.#socket.on("data", (chunk) => this.#take(chunk));
    this.#socket.on("error", () => undefined);
    this.#socket.on("close", () => {
      this.#open.reject(new Error(`no WebSocket: ${this.#bytes.toString("latin1")}`));
      this.#end.resolve(this.#closing);
    });
  }

  /** Breaks the connection. */
  cut(how: Cut): void {
    this.#isCut = true;
    if (how === "reset") this.#socket.resetAndDestroy();
    else if (how === "end") this.#socket.destroy();
    else this.#socket.end(maskedFrame(8, Buffer.from([0x03, 0xe8])));
  }

  /** Reads nothing more, as a program that hangs. */
  stopReading(): void {
    this.#socket.pause();
  }

  /** Resolves with the server's answer to a ping, which comes after everything it had to say at once. */
  ping(): Promise<void> {
    this.#socket.write(maskedFrame(9, Buffer.alloc(0)));
    return this.#pong.promise;
  }

  goOnReading(): void {
    this.#socket.resume();
  }

  [Symbol.dispose](): void {
    this.#isCut = true;
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    if (!this.#isOpen && !this.#takeHead()) return;
    while (!this.#isCut && this.#takeFrame());
  }

  #takeHead(): boolean {
    const end = this.#bytes.indexOf("\r\n\r\n");
    if (end < 0 || !this.#bytes.toString("latin1", 0, 12).endsWith(" 101")) return false;
    this.#bytes = this.#bytes.subarray(end + 4);
    this.#isOpen = true;
    this.#open.resolve();
    return true;
  }

  #takeFrame(): boolean {
    const frame = readServerFrame(this.#bytes);
    if (frame === null) return false;
    this.#bytes = this.#bytes.subarray(frame.bytes);
    const { opcode, payload, isLast } = frame;
    if (opcode <= 1) this.#takeText(payload, isLast);
    else if (opcode === 9) this.#socket.write(maskedFrame(10, payload));
    else if (opcode === 8) this.#takeClose(payload);
    else if (opcode === 10) this.#pong.resolve();
    return true;
  }

  #takeText(payload: Buffer, isLast: boolean): void {
    this.#fragments.push(payload);
    if (!isLast) return;
    const text = Buffer.concat(this.#fragments).toString();
    this.#fragments = [];
    this.#onMail(JSON.parse(text) as SeedPush);
  }

  #takeClose(payload: Buffer): void {
    this.#closing = {
      code: payload.length < 2 ? 1005 : payload.readUInt16BE(0),
      reason: payload.subarray(2).toString(),
    };
    this.#socket.end(maskedFrame(8, payload));
  }
}

function maskedFrame(opcode: number, payload: Buffer): Buffer {
  // Masked with zeroes, which leaves a short payload as it is.
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}
