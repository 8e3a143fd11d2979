import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { CertificateMaker, writePair } from "./certificate-maker.ts";
import { DnsServer } from "./dns-server.ts";
import { Relay } from "./relay.ts";
import { until } from "./until.ts";

/** Why tests of ACME are skipped; `false` where they are not. */
export function skipWithoutPebble(): string | false {
  const missing = ["openssl", "pebble"].filter((tool) => spawnSync(tool, ["-h"]).error !== undefined);
  return missing.length === 0 ? false : `${missing.join(" and ")} is not installed (apt-get install pebble)`;
}

export interface PebbleOptions {
  /** Lifetime of the certificates it gives. */
  validitySeconds?: number;
  /** Good nonces that it calls bad. */
  badNoncePercent?: number;
}

/** Pebble, the ACME authority for tests, with a DNS of its own and a port for each challenge that leads to where a test says. */
export class Pebble implements AsyncDisposable {
  readonly dns: DnsServer;
  /** Where it looks for http-01. */
  readonly http: Relay;
  /** Where it looks for tls-alpn-01. */
  readonly tls: Relay;
  /** What its directory's own certificate comes from. */
  readonly rootFile: string;
  readonly directoryUrl: string;
  /** Every line it has said. */
  readonly log: string[] = [];
  readonly #parts: AsyncDisposableStack;
  readonly #configFile: string;
  readonly #badNoncePercent: number;
  #child: ChildProcess | null = null;

  /** Starts it in a directory; resolves once it answers. */
  static async start(directory: string, options: PebbleOptions = {}): Promise<Pebble> {
    await using parts = new AsyncDisposableStack();
    const dns = parts.use(await DnsServer.start());
    const doors = { http: parts.use(await Relay.open()), tls: parts.use(await Relay.open()) };
    const pebble = new Pebble({ directory, options, dns, doors, port: await freePort(), parts });
    parts.use(pebble.#ending());
    await pebble.begin();
    pebble.#parts.use(parts.move());
    return pebble;
  }

  private constructor(made: {
    directory: string;
    options: PebbleOptions;
    dns: DnsServer;
    doors: { http: Relay; tls: Relay };
    port: number;
    parts: AsyncDisposableStack;
  }) {
    const { directory, options, dns, doors, port } = made;
    this.dns = dns;
    this.http = doors.http;
    this.tls = doors.tls;
    this.#parts = new AsyncDisposableStack();
    this.#badNoncePercent = options.badNoncePercent ?? 0;
    mkdirSync(directory, { recursive: true });
    const maker = new CertificateMaker(directory);
    writePair(directory, maker.make(["localhost"]));
    this.rootFile = maker.rootFile;
    this.directoryUrl = `https://localhost:${port}/dir`;
    this.#configFile = join(directory, "pebble.json");
    const settings = {
      listenAddress: `127.0.0.1:${port}`,
      certificate: join(directory, "fullchain.pem"),
      privateKey: join(directory, "privkey.pem"),
      httpPort: doors.http.port,
      tlsPort: doors.tls.port,
      ...(options.validitySeconds === undefined ? {} : { certificateValidityPeriod: options.validitySeconds }),
    };
    writeFileSync(this.#configFile, JSON.stringify({ pebble: settings }));
  }

  /** Starts it again after {@link end}, on the same port. Like any that is started, it knows no account. */
  async begin(): Promise<void> {
    const child = spawn("pebble", ["-strict", "-config", this.#configFile, "-dnsserver", this.dns.setting], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        PEBBLE_VA_NOSLEEP: "1",
        PEBBLE_AUTHZREUSE: "0",
        PEBBLE_WFE_NONCEREJECT: String(this.#badNoncePercent),
      },
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => this.log.push(line));
    }
    const url = new URL(this.directoryUrl);
    await until("pebble answers", async () => {
      if (child.exitCode !== null) throw new Error(`pebble ended\n${this.log.join("\n")}`);
      return await answers(url);
    });
  }

  /** How many requests it was sent at a path such as `/sign-me-up`, refused ones included. */
  requests(path: string): number {
    return this.log.filter((line) => line.includes(`POST ${path} ->`)).length;
  }

  async end(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.disposeAsync();
  }

  #ending(): AsyncDisposable {
    return { [Symbol.asyncDispose]: () => this.end() };
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function answers(url: URL): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  request(url, { rejectUnauthorized: false, agent: false }, (response) => {
    response.resume();
    resolve(response.statusCode === 200);
  })
    .on("error", () => resolve(false))
    .end();
  return await promise;
}
