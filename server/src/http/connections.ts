import type { Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Knows of each open connection whether a request is in flight on it, so that a stop can wait for those and no others. */
export class Connections {
  /** Requests in flight by connection; an upgraded one counts as busy until it closes. */
  readonly #inFlight = new Map<Socket, number>();
  #closing = false;

  constructor(server: Server) {
    const inFlight = this.#inFlight;
    // One for all, since a function for each open socket would cost memory.
    function forget(this: Socket): void {
      inFlight.delete(this);
    }
    server.on("connection", (socket: Socket) => {
      inFlight.set(socket, 0);
      socket.on("close", forget);
    });
    server.prependListener("request", ({ socket }: { socket: Socket }, response: ServerResponse) => {
      this.#add(socket, 1);
      response.once("close", () => {
        this.#add(socket, -1);
        if (this.#closing) this.#closeIdle(socket);
      });
    });
  }

  /** Counts an upgraded connection as busy; whoever took it over closes it. */
  keep(socket: Socket): void {
    this.#add(socket, 1);
  }

  /** Closes what has no request in flight, now and from now on. */
  closeIdle(): void {
    this.#closing = true;
    for (const socket of this.#inFlight.keys()) this.#closeIdle(socket);
  }

  /** Closes everything at once. */
  destroyAll(): void {
    for (const socket of this.#inFlight.keys()) socket.destroy();
  }

  #add(socket: Socket, change: number): void {
    const count = this.#inFlight.get(socket);
    if (count !== undefined) this.#inFlight.set(socket, count + change);
  }

  #closeIdle(socket: Socket): void {
    // What was answered last may still be on its way out.
    if (this.#inFlight.get(socket) === 0) socket.destroySoon();
  }
}
