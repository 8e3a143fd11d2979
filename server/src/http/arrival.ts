import type { IncomingMessage } from "node:http";
import { refuseConnection } from "./envelope.ts";

/**
 * Cuts the connection with 408 when a request's body has not come whole within `timeoutMs`. node:http has one such limit
 * for all requests, and the routes that take mails need a longer one.
 */
export function limitArrival(request: IncomingMessage, timeoutMs: number): void {
  const { headers } = request;
  if (headers["transfer-encoding"] === undefined && Number(headers["content-length"] ?? 0) === 0) return;
  const timer = setTimeout(() => refuseConnection(request.socket, "request_timeout"), timeoutMs);
  request.once("close", () => clearTimeout(timer)).once("end", () => clearTimeout(timer));
}
