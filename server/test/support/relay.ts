import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** A port of the loopback that is known before what it leads to: connections wait until {@link Relay.lead} says where. */
export class Relay implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #target = Promise.withResolvers<number>();

  static async open(): Promise<Relay> {
    const server = createServer({ pauseOnConnect: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new Relay(server);
  }

  private constructor(server: Server) {
    this.#server = server;
    server.on("connection", (client) => {
      this.#keep(client);
      void this.#target.promise.then((port) => this.#join(client, connect({ port, host: "127.0.0.1" })));
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  lead(port: number): void {
    this.#target.resolve(port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const closed = once(this.#server, "close");
    this.#server.close();
    await closed;
  }

  #join(client: Socket, server: Socket): void {
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#keep(one);
      one.on("close", () => other.end());
      one.pipe(other);
    }
  }

  #keep(socket: Socket): void {
    if (this.#sockets.has(socket)) return;
    this.#sockets.add(socket);
    // Whoever is cut off says nothing here.
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
  }
}
