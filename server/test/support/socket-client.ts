import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { SeedPush } from "@catmails/client";
import { WebSocket, type ClientOptions } from "ws";

/** How a socket was closed. */
export interface Closed {
  code: number;
  reason: string;
}

/** A WebSocket whose messages are taken one at a time, in order. */
export class SocketClient implements Disposable {
  readonly ws: WebSocket;
  /** Resolves when the handshake is complete. */
  readonly opened: Promise<void>;
  readonly closed: Promise<Closed>;
  readonly #messages: SeedPush[] = [];
  #wake = (): void => undefined;

  constructor(
    origin: string,
    query: Readonly<Record<string, string>> | string,
    options: ClientOptions & { path?: string } = {},
  ) {
    const { path = "/", ...rest } = options;
    const search = typeof query === "string" ? query : new URLSearchParams(query).toString();
    this.ws = new WebSocket(`${origin.replace("http", "ws")}${path}?${search}`, rest);
    this.opened = once(this.ws, "open").then(() => undefined);
    const closed = Promise.withResolvers<Closed>();
    this.closed = closed.promise;
    this.ws.on("message", (data: Buffer) => {
      this.#messages.push(JSON.parse(data.toString()) as SeedPush);
      this.#wake();
    });
    this.ws.on("close", (code, reason) => {
      closed.resolve({ code, reason: reason.toString() });
      this.#wake();
    });
    this.ws.on("error", () => undefined);
    // Whoever waits for it hears of a refused handshake; nobody has to.
    this.opened.catch(() => undefined);
  }

  /** Messages that came and were not taken. */
  get waiting(): readonly SeedPush[] {
    return this.#messages;
  }

  /** Takes the next message; rejects when the socket closes before one comes. */
  async next(): Promise<SeedPush> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) return message;
      if (this.ws.readyState === WebSocket.CLOSED) throw new Error("closed before a message came");
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  [Symbol.dispose](): void {
    this.ws.terminate();
  }
}

/** Opens a socket and waits until it is open. */
export async function openSocket(...args: ConstructorParameters<typeof SocketClient>): Promise<SocketClient> {
  const client = new SocketClient(...args);
  await client.opened;
  return client;
}

/** A WebSocket by hand that reads its handshake and then nothing until told to. */
export async function openDeafSocket(origin: string, query: string): Promise<Socket> {
  const socket = connect(Number(new URL(origin).port), "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write(
    [
      `GET /?${query} HTTP/1.1`,
      "Host: localhost",
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      "\r\n",
    ].join("\r\n"),
  );
  await once(socket, "readable");
  socket.pause();
  return socket;
}
