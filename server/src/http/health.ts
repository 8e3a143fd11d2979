import type { FastifyInstance } from "fastify";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";

/** What the health routes ask. */
export interface HealthOptions {
  log: Logger;
  metrics: Metrics;
  /** Rejects when it cannot tell, which counts as no. */
  isReady(): Promise<boolean> | boolean;
}

/**
 * `/livez` (the process answers), `/readyz` (it can also do its work, 503 otherwise) and `/metrics`. They need no key:
 * they hold no secret and nothing of anybody's mail.
 */
export function serveHealth(app: FastifyInstance, options: HealthOptions): void {
  app.get("/livez", (_request, reply) => reply.header("cache-control", "no-store").send("ok\n"));
  app.get("/readyz", async (_request, reply) => {
    const isReady = await checkReady(options);
    reply.header("cache-control", "no-store").code(isReady ? 200 : 503);
    return isReady ? "ok\n" : "not ready\n";
  });
  app.get("/metrics", async (_request, reply) => {
    reply.type(options.metrics.contentType);
    return await options.metrics.text();
  });
}

async function checkReady(options: HealthOptions): Promise<boolean> {
  try {
    return await options.isReady();
  } catch (error) {
    options.log.error({ err: error }, "Not ready");
    return false;
  }
}
