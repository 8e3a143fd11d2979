import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { nodeHttp } from "./node-http.ts";
import { challengePath, type WellKnown } from "./well-known.ts";

const maxConnections = 100;
const requestTimeoutMs = 10_000;

export interface ChallengeListenerOptions {
  host: string;
  /** 0 takes a free one. */
  port: number;
  findChallenge: WellKnown["findChallenge"];
}

/** A listener of plain HTTP for an authority's http-01 and nothing else: where port 80 is open to the world and the API is not. */
export class ChallengeListener implements AsyncDisposable {
  readonly #server: Server;

  /** Resolves once connections are taken; rejects when the address cannot be had. */
  static async listen({ host, port, findChallenge }: ChallengeListenerOptions): Promise<ChallengeListener> {
    const server = nodeHttp().createServer(
      { requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs, connectionsCheckingInterval: 5_000 },
      (request, response) => {
        const path = request.url?.split("?", 1)[0] ?? "";
        const answer = path.startsWith(challengePath) ? findChallenge(path.slice(challengePath.length)) : null;
        response.writeHead(answer === null ? 404 : 200, { connection: "close", "content-type": "text/plain" });
        response.end(answer ?? "Not found\n");
      },
    );
    server.maxConnections = maxConnections;
    server.setTimeout(requestTimeoutMs);
    server.listen({ host, port });
    await once(server, "listening");
    // Running out of file descriptors is no reason to end the process.
    server.on("error", () => undefined);
    return new ChallengeListener(server);
  }

  private constructor(server: Server) {
    this.#server = server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Cuts every connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
