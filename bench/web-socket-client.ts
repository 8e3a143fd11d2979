import { randomBytes } from "node:crypto";
import { Socket } from "node:net";

/** Whoever reads a {@link WebSocketClient}; called inside its socket's callbacks. */
export interface WebSocketOwner {
  opened(client: WebSocketClient): void;
  /** A whole message. The bytes are valid during the call only. */
  message(client: WebSocketClient, payload: Buffer): void;
  /** Gone: refused, closed by the server or broken. Called once, and not after `destroy`. */
  closed(client: WebSocketClient, error: Error): void;
}

const headEnd = "\r\n\r\n";
const [continuation, close, ping, pong] = [0x0, 0x8, 0x9, 0xa];
const maskBit = 0x80;

/**
 * A WebSocket that only listens (RFC 6455), at the least cost that a socket of Node allows: no event objects, and no copy
 * of a message that came in one piece. Answers pings; reads no extension.
 */
export class WebSocketClient {
  readonly #socket: Socket;
  readonly #owner: WebSocketOwner;
  #isOpen = false;
  #isClosed = false;
  /** The begin of a head or frame whose rest has not come yet. */
  #left: Buffer | null = null;
  #fragments: Buffer[] = [];

  /** `readBuffer` may be shared by all clients of a process: it is read in the same turn in which it was filled. */
  constructor(url: string, owner: WebSocketOwner, readBuffer: Uint8Array) {
    const { hostname, port, host, pathname, search } = new URL(url);
    this.#owner = owner;
    const callback = (bytes: number, buffer: Uint8Array): boolean => {
      this.#take(Buffer.from(buffer.buffer, buffer.byteOffset, bytes));
      return true;
    };
    this.#socket = new Socket({ onread: { buffer: readBuffer, callback } });
    this.#socket.connect({ host: hostname, port: Number(port), autoSelectFamily: false });
    this.#socket.setNoDelay(true);
    this.#socket.write(
      `GET ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}${headEnd}`,
    );
    this.#socket.on("error", (error) => this.#close(error));
    this.#socket.on("close", () => this.#close(new Error("The server closed the WebSocket")));
  }

  /** Closes without a word. */
  destroy(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    let bytes = this.#left === null ? chunk : Buffer.concat([this.#left, chunk]);
    this.#left = null;
    if (!this.#isOpen) {
      const end = bytes.indexOf(headEnd);
      if (end === -1) return this.#keep(bytes);
      if (bytes.toString("latin1", 9, 12) !== "101") return this.#close(new Error(bytes.toString("latin1", 0, end)));
      this.#isOpen = true;
      this.#owner.opened(this);
      bytes = bytes.subarray(end + headEnd.length);
    }
    this.#takeFrames(bytes);
  }

  #takeFrames(bytes: Buffer): void {
    let at = 0;
    while (!this.#isClosed && at < bytes.length) {
      const frame = frameAt(bytes, at);
      if (frame === null) return this.#keep(bytes.subarray(at));
      at = frame.end;
      this.#takeFrame(frame);
    }
  }

  #takeFrame({ opcode, isLast, payload }: Frame): void {
    if (opcode === close) return this.#close(new Error(`WebSocket closed: ${payload.toString("latin1", 2)}`));
    if (opcode === ping) return void this.#socket.write(maskedPong(payload));
    if (opcode === pong) return;
    if (opcode !== continuation && isLast) return this.#owner.message(this, payload);
    this.#fragments.push(Buffer.from(payload));
    if (isLast) this.#owner.message(this, Buffer.concat(this.#fragments.splice(0)));
  }

  /** What was read lies in a buffer that the next read writes over. */
  #keep(bytes: Buffer): void {
    this.#left = Buffer.from(bytes);
  }

  #close(error: Error): void {
    if (this.#isClosed) return;
    this.destroy();
    this.#owner.closed(this, error);
  }
}

interface Frame {
  opcode: number;
  isLast: boolean;
  payload: Buffer;
  end: number;
}

/** A frame of a server, which masks nothing; `null` while it is not here to its end. */
function frameAt(bytes: Buffer, at: number): Frame | null {
  if (bytes.length < at + 2) return null;
  const short = bytes.readUInt8(at + 1) & 0x7f;
  const start = at + (short === 126 ? 4 : short === 127 ? 10 : 2);
  if (bytes.length < start) return null;
  const long = (): number => (short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2)));
  const end = start + (short < 126 ? short : long());
  if (bytes.length < end) return null;
  const first = bytes.readUInt8(at);
  return { opcode: first & 0x0f, isLast: first >= 0x80, payload: bytes.subarray(start, end), end };
}

/** Pings carry at most 125 bytes. A mask of zeros is a mask (section 5.3) and changes nothing. */
function maskedPong(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x80 | pong, maskBit | payload.length, 0, 0, 0, 0]), payload]);
}
