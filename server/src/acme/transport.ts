import { Agent, request } from "node:https";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { messageOf } from "../errors.ts";
import { AcmeFault } from "./fault.ts";

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/** For one request and its whole answer. */
const requestTimeoutMs = 30_000;
/** A chain of certificates has some KiB. */
const maxAnswerBytes = 256 * 1024;

/** Requests to one authority over HTTPS, verified with its own root where one is given. Follows no redirect. */
export class Transport implements Disposable {
  readonly #agent: Agent;
  readonly #userAgent: string;
  readonly #signal: AbortSignal;

  constructor(options: { caPem: string | null; userAgent: string; signal: AbortSignal }) {
    const { caPem } = options;
    this.#agent = new Agent({ keepAlive: true, maxSockets: 1, ...(caPem === null ? {} : { ca: caPem }) });
    this.#userAgent = options.userAgent;
    this.#signal = options.signal;
  }

  /** Rejects with {@link AcmeFault} when there is no answer within 30 s, or one of more than 256 KiB. */
  async send(method: "GET" | "HEAD" | "POST", url: string, body?: string): Promise<Answer> {
    // Every address after the first one comes from the authority.
    if (!url.startsWith("https://") || !URL.canParse(url))
      throw new AcmeFault(`The authority gave an address that is not HTTPS: ${url}`);
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(requestTimeoutMs)]);
    try {
      return await this.#exchange({ method, url, body, signal });
    } catch (error) {
      if (this.#signal.aborted || error instanceof AcmeFault) throw error;
      const why = signal.aborted ? `no answer within ${requestTimeoutMs / 1000} s` : reasonOf(error);
      throw new AcmeFault(`${new URL(url).host} cannot be asked: ${why}`, { cause: error });
    }
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  async #exchange(what: {
    method: string;
    url: string;
    body: string | undefined;
    signal: AbortSignal;
  }): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const headers = {
      "user-agent": this.#userAgent,
      ...(what.body === undefined
        ? {}
        : { "content-type": "application/jose+json", "content-length": Buffer.byteLength(what.body) }),
    };
    const { method, signal } = what;
    request(what.url, { method, headers, signal, agent: this.#agent }, resolve).on("error", reject).end(what.body);
    const response = await promise;
    return { status: response.statusCode ?? 0, headers: response.headers, text: await readAll(response) };
  }
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxAnswerBytes) throw new AcmeFault("The authority's answer is too long.");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** A host with several addresses fails with one fault for each, and no words of its own. */
function reasonOf(error: unknown): string {
  return error instanceof AggregateError ? error.errors.map(messageOf).join(", ") : messageOf(error);
}
