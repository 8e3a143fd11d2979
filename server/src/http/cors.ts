import type { FastifyReply, FastifyRequest } from "fastify";

/** Methods that `/api` answers, as an `Allow` header. */
export const apiMethods = "GET, HEAD, POST, OPTIONS";

const preflightSeconds = 86_400;

/**
 * Sets the headers of every answer: nothing is kept by a cache, however the path was spelled. Under `/api` and `/v1` any page may
 * read the answer, since it brings a key of its own; credentials that a browser would add by itself are never allowed
 * (Fetch standard, CORS protocol).
 */
export function setHeaders(request: FastifyRequest, reply: FastifyReply): void {
  reply.header("x-content-type-options", "nosniff");
  reply.header("cache-control", "no-store");
  if (!/^\/(?:api|v1)(?:[/?]|$)/.test(request.raw.url ?? "")) return;
  reply.header("access-control-allow-origin", "*");
  reply.header("access-control-expose-headers", "Retry-After");
}

/** Answers OPTIONS, a preflight or not, with 204. */
export function answerOptions(reply: FastifyReply): FastifyReply {
  return reply
    .code(204)
    .header("allow", apiMethods)
    .header("access-control-allow-methods", apiMethods)
    .header("access-control-allow-headers", "Authorization, Content-Type")
    .header("access-control-max-age", preflightSeconds)
    .send();
}
