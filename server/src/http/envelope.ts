import { randomUUID } from "node:crypto";
import type { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { SeedError } from "@catmails/client";
import type { FastifyReply } from "fastify";
import { errorTable, isRefusal, Refusal, type ErrorName } from "../errors.ts";
import type { Logger } from "../log.ts";
import { nodeHttp } from "./node-http.ts";

/** What to answer for something that was thrown. */
export interface Answer {
  status: number;
  body: SeedError;
  retryAfterSeconds?: number;
}

const frameworkErrors: Readonly<Record<string, ErrorName>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: "body_too_large",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "unsupported_body",
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: "invalid_body",
};

/** Said on purpose; every other 5xx is a fault of ours. */
const busyNames: ReadonlySet<ErrorName> = new Set<ErrorName>(["unavailable", "mailbox_full", "no_room"]);

/**
 * The answer for anything thrown: a refusal as the error table has it, the framework's own refusals in the same words,
 * and everything else as `internal` with an incident id, under which the log has the error.
 */
export function answerFor(error: unknown, log: Logger): Answer {
  const refusal = refusalOf(error);
  if (refusal === null) {
    const incident = randomUUID();
    log.error({ err: error, incident }, "A request failed");
    const { text, code, status } = errorTable.internal;
    return { status, body: { success: false, error: text, code, incident } };
  }
  const { text, code, status } = refusal.entry;
  if (status >= 500 && !busyNames.has(refusal.errorName)) log.error({ err: refusal }, "A request failed");
  const detailed = refusal.errorName === "invalid_parameter";
  const body: SeedError = { success: false, error: detailed ? refusal.message : text, code };
  const { retryAfterSeconds } = refusal;
  return retryAfterSeconds === undefined ? { status, body } : { status, body, retryAfterSeconds };
}

/** Sends {@link answerFor} an error. */
export function sendError(reply: FastifyReply, error: unknown, log: Logger): FastifyReply {
  const { status, body, retryAfterSeconds } = answerFor(error, log);
  if (retryAfterSeconds !== undefined) reply.header("retry-after", retryAfterSeconds);
  return reply.code(status).send(body);
}

/** Answers on a connection that never became a request, and ends it. */
export function refuseConnection(socket: Duplex, name: ErrorName): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { text, code, status } = errorTable[name];
  const body = JSON.stringify({ success: false, error: text, code } satisfies SeedError);
  const head = [
    `HTTP/1.1 ${status} ${nodeHttp().STATUS_CODES[status]}`,
    "Content-Type: application/json; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Cache-Control: no-store",
    "Connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}

/** Answers a request that never reaches the framework. */
export function refuseRequest(response: ServerResponse, name: ErrorName): void {
  const { text, code, status } = errorTable[name];
  const body = JSON.stringify({ success: false, error: text, code } satisfies SeedError);
  response.writeHead(status, { "content-type": "application/json; charset=utf-8", "cache-control": "no-store" });
  response.end(body);
}

/** The table's name for a fault in the request's HTTP itself (`clientError` of node:http). */
export function protocolFault(error: NodeJS.ErrnoException): ErrorName {
  if (error.code === "HPE_HEADER_OVERFLOW") return "headers_too_large";
  return error.code === "ERR_HTTP_REQUEST_TIMEOUT" ? "request_timeout" : "malformed_request";
}

function refusalOf(error: unknown): Refusal | null {
  if (isRefusal(error)) return error;
  if (!(error instanceof Error)) return null;
  const { code, statusCode } = error as Error & { code?: unknown; statusCode?: unknown };
  const name = typeof code === "string" ? frameworkErrors[code] : undefined;
  if (name !== undefined) return new Refusal(name, { cause: error });
  // A body cut off half way, a path that does not decode: the framework blames the request, and so do we.
  const blamed = typeof statusCode === "number" && statusCode >= 400 && statusCode < 500;
  return blamed ? new Refusal("malformed_request", { cause: error }) : null;
}
