import type { IncomingMessage } from "node:http";
import { refuseConnection } from "./envelope.ts";

/**
 * Cuts the connection with 408 when a request's body has not come whole within `timeoutMs`. node:http has one such limit
 * for all requests, and the routes that take mails need a longer one.
 */
export function limitArrival(request: IncomingMessage, timeoutMs: number): void {
  const { headers } = request;
  if (headers["transfer-encoding"] === undefined && Number(headers["content-length"] ?? 0) === 0) return;
  watchArrival(request, timeoutMs, () => refuseConnection(request.socket, "request_timeout"));
}

/** Calls `late` when the rest of a body has not come within `timeoutMs`, and holds nothing once it came or its connection went. */
export function watchArrival(request: IncomingMessage, timeoutMs: number, late: () => void): void {
  const { socket } = request;
  const timer = setTimeout(late, timeoutMs);
  const done = (): void => {
    clearTimeout(timer);
    socket.off("close", done);
  };
  // A request that was answered before its body came hears nothing any more, not even that its connection went.
  socket.once("close", done);
  request.once("close", done).once("end", done);
}
