import { Socket } from "node:net";

/** Whoever drives a lane; called inside its socket's callbacks. */
export interface HttpOwner {
  /** The whole answer is here; `bytes` counts its body. */
  answered(lane: HttpLane, answer: { status: number; bytes: number }): void;
  /** Gone. Called once, and not after `destroy`. */
  closed(lane: HttpLane, error: Error): void;
}

const headEnd = "\r\n\r\n";
/** The last chunk of a body that comes in chunks (RFC 9112 section 7.1), with the end of the one before it. */
const lastChunk = "\r\n0\r\n\r\n";

/** A GET for {@link HttpLane.get}, ready to be sent. */
export function requestOf(origin: string, path: string): Buffer {
  return Buffer.from(`GET ${path} HTTP/1.1\r\nHost: ${new URL(origin).host}${headEnd}`);
}

/** A kept HTTP/1.1 connection that asks, one request at a time, and counts the bytes of the answers. */
export class HttpLane {
  readonly #socket: Socket;
  readonly #owner: HttpOwner;
  #head = "";
  #status = 0;
  #bytes = 0;
  /** Bytes of the body that have not come; `null`: they come in chunks. */
  #left: number | null = 0;
  #tail = "";
  #isClosed = false;

  /** `readBuffer` may be shared by all lanes of a process: it is read in the same turn in which it was filled. */
  constructor(origin: string, owner: HttpOwner, readBuffer: Uint8Array) {
    const { hostname, port } = new URL(origin);
    this.#owner = owner;
    const callback = (bytes: number, buffer: Uint8Array): boolean => {
      this.#take(Buffer.from(buffer.buffer, buffer.byteOffset, bytes));
      return true;
    };
    this.#socket = new Socket({ onread: { buffer: readBuffer, callback } });
    this.#socket.connect({ host: hostname, port: Number(port), autoSelectFamily: false });
    this.#socket.setNoDelay(true);
    this.#socket.on("error", (error) => this.#close(error));
    this.#socket.on("close", () => this.#close(new Error("The server closed the connection")));
  }

  /** Sends a request, once the last one was answered. */
  get(request: Buffer): void {
    this.#status = 0;
    this.#bytes = 0;
    this.#socket.write(request);
  }

  destroy(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    if (this.#status !== 0) return this.#takeBody(chunk);
    const end = chunk.indexOf(headEnd);
    if (end === -1) {
      this.#head += chunk.toString("latin1");
      return;
    }
    const head = this.#head + chunk.toString("latin1", 0, end);
    this.#head = "";
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (length === undefined && !/\r\ntransfer-encoding: *chunked/i.test(head)) {
      return this.#close(new Error(`An answer without a length: ${head}`));
    }
    this.#status = Number(head.slice(9, 12));
    this.#left = length === undefined ? null : Number(length);
    this.#tail = "\r\n";
    this.#takeBody(chunk.subarray(end + headEnd.length));
  }

  #takeBody(bytes: Buffer): void {
    this.#bytes += bytes.length;
    if (this.#left === null) {
      this.#tail = (this.#tail + bytes.toString("latin1", Math.max(0, bytes.length - lastChunk.length))).slice(-7);
      if (this.#tail !== lastChunk) return;
    } else {
      this.#left -= bytes.length;
      if (this.#left > 0) return;
    }
    this.#owner.answered(this, { status: this.#status, bytes: this.#bytes });
  }

  #close(error: Error): void {
    if (this.#isClosed) return;
    this.destroy();
    this.#owner.closed(this, error);
  }
}
