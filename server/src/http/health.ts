import type { FastifyInstance } from "fastify";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";

/** What the health routes ask. */
export interface HealthOptions {
  log: Logger;
  metrics: Metrics;
  /** Rejects when it cannot tell, which counts as no. */
  isReady(): Promise<boolean> | boolean;
  /** What is wrong though it is ready, for the body of `/readyz`; `null`: nothing. */
  warning?(): string | null;
}

/** How long an answer of `/readyz` holds. */
const freshMs = 1000;

/**
 * `/livez` (the process answers), `/readyz` (it can also do its work, 503 otherwise) and `/metrics`. They need no key:
 * they hold no secret and nothing of anybody's mail.
 */
export function serveHealth(app: FastifyInstance, options: HealthOptions): void {
  const readiness = new Readiness(options);
  app.get("/livez", (_request, reply) => reply.send("ok\n"));
  app.get("/readyz", async (_request, reply) => {
    const isReady = await readiness.ask();
    reply.code(isReady ? 200 : 503);
    if (!isReady) return "not ready\n";
    const warning = options.warning?.() ?? null;
    return warning === null ? "ok\n" : `ok, but ${warning}\n`;
  });
  app.get("/metrics", async (_request, reply) => {
    reply.type(options.metrics.contentType);
    return await options.metrics.text();
  });
}

/**
 * Asks whether the server is ready, once at a time and at most once in {@link freshMs}: the question goes through the
 * store's writer, and anybody may ask it.
 */
class Readiness {
  readonly #options: HealthOptions;
  #answer: Promise<boolean> | null = null;
  #staleAtMs = 0;

  constructor(options: HealthOptions) {
    this.#options = options;
  }

  /** Never rejects. */
  ask(): Promise<boolean> {
    if (this.#answer === null || performance.now() >= this.#staleAtMs) {
      this.#staleAtMs = Infinity;
      this.#answer = this.#check().finally(() => (this.#staleAtMs = performance.now() + freshMs));
    }
    return this.#answer;
  }

  async #check(): Promise<boolean> {
    try {
      return await this.#options.isReady();
    } catch (error) {
      this.#options.log.error({ err: error }, "Not ready");
      return false;
    }
  }
}
