import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { refuseRequest } from "./envelope.ts";

/** Takes one request; its response says when it is done. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** Requests of one connection that may wait for those before them. */
const maxWaiting = 100;

/**
 * Answers the requests of each connection one after the other. Answers leave in order anyway (RFC 9112 section 9.3.2), so
 * running pipelined requests all at once wins nothing, holds every answer in memory, and lets one client keep everybody
 * else waiting. Those beyond {@link maxWaiting} are answered `too_many_answers`, in order too; those answers fill the
 * connection's queue, at which point node:http reads no more from it.
 */
export class RequestTurns {
  readonly #handler: RequestHandler;
  /** What waits, for each connection that has a request in hand. */
  readonly #waiting = new WeakMap<Socket, [IncomingMessage, ServerResponse][]>();

  constructor(handler: RequestHandler) {
    this.#handler = handler;
  }

  /** Runs the request now, or when everything before it on its connection has been sent. */
  take(request: IncomingMessage, response: ServerResponse): void {
    const waiting = this.#waiting.get(request.socket);
    if (waiting === undefined) {
      this.#waiting.set(request.socket, []);
      this.#run(request, response);
    } else if (waiting.length < maxWaiting) waiting.push([request, response]);
    else refuseRequest(response, "too_many_answers");
  }

  /** True while a request of this connection is not answered to its end. */
  isBusy(socket: Socket): boolean {
    return this.#waiting.has(socket);
  }

  #run(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    response.once("close", () => this.#next(socket));
    this.#handler(request, response);
  }

  #next(socket: Socket): void {
    const next = socket.destroyed ? undefined : this.#waiting.get(socket)?.shift();
    if (next === undefined) this.#waiting.delete(socket);
    else this.#run(...next);
  }
}
