import { connect, type Socket } from "node:net";

const readBytes = 65_536;
const headEnd = "\r\n\r\n";

export interface Answer {
  status: number;
  bodyBytes: number;
}

/** A kept HTTP/1.1 connection that asks for one URL again and again and only counts the bytes of the answers. */
export class HttpConnection implements Disposable {
  readonly #socket: Socket;
  readonly #request: Buffer;
  #head = "";
  #answer: Answer | null = null;
  #leftBytes = 0;
  #waiting: PromiseWithResolvers<Answer> | null = null;
  #failure: Error | null = null;

  constructor(url: URL) {
    this.#request = Buffer.from(`GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}${headEnd}`);
    this.#socket = connect({
      host: url.hostname,
      port: Number(url.port),
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafe(readBytes),
        callback: (bytes, buffer) => {
          this.#take(Buffer.from(buffer.buffer, buffer.byteOffset, bytes));
          return true;
        },
      },
    });
    this.#socket.on("error", (error) => this.#fail(error));
    this.#socket.on("close", () => this.#fail(new Error("The server closed the connection")));
  }

  /** Asks once more; resolves when the whole answer is here. One call at a time. */
  get(): Promise<Answer> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    this.#waiting = Promise.withResolvers();
    this.#socket.write(this.#request);
    return this.#waiting.promise;
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    if (this.#answer === null) {
      this.#head += chunk.toString("latin1");
      const end = this.#head.indexOf(headEnd);
      if (end === -1) return;
      this.#leftBytes -= this.#head.length - end - headEnd.length;
      this.#start(this.#head.slice(0, end));
    } else this.#leftBytes -= chunk.length;
    if (this.#leftBytes <= 0) this.#finish();
  }

  #start(head: string): void {
    const bodyBytes = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? Number.NaN);
    if (Number.isNaN(bodyBytes)) return this.#fail(new Error(`An answer without a length: ${head}`));
    this.#leftBytes += bodyBytes;
    this.#answer = { status: Number(head.slice(9, 12)), bodyBytes };
    this.#head = "";
  }

  #finish(): void {
    const answer = this.#answer;
    const waiting = this.#waiting;
    this.#answer = null;
    this.#waiting = null;
    this.#leftBytes = 0;
    if (answer !== null) waiting?.resolve(answer);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.reject(this.#failure);
    this.#waiting = null;
  }
}
