import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { ReplyLinter } from "./reply-linter.ts";

/**
 * Stands between a program that sends mail and a server: hands every byte on as it is, and every byte of the server to a
 * {@link ReplyLinter}, whose faults are uncaught exceptions, so that no sender can swallow them.
 */
export class ReplyTap implements AsyncDisposable {
  /** Dialogs so far. */
  dialogs = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, port: number) {
    this.#server = server;
    server.on("connection", (client) => this.#join(client, connect({ port, host: "127.0.0.1", allowHalfOpen: true })));
  }

  /** Listens on a free port of the loopback for what is meant for `port`. */
  static async open(port: number): Promise<ReplyTap> {
    const server = createServer({ allowHalfOpen: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new ReplyTap(server, port);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(client: Socket, server: Socket): void {
    this.dialogs++;
    const linter = new ReplyLinter();
    server.on("data", (chunk: Buffer) => linter.take(chunk));
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.pipe(other);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroySoon();
      });
    }
  }
}
