import { distribution, type Distribution } from "./distribution.ts";
import { HttpLane, requestOf, type HttpOwner } from "./http-lane.ts";

export interface ReadingJob {
  kind: "reading";
  /** Such as `http://127.0.0.1:8080`. */
  origin: string;
  /** Paths with their query, asked for in turns. */
  paths: readonly string[];
  connections: number;
  seconds: number;
}

export interface ReadingResult {
  requests: number;
  seconds: number;
  responseMs: Distribution;
  /** Bytes of all bodies. */
  bytes: number;
  /** Processor time of the generator itself. */
  cpuSeconds: number;
}

const readBytes = 65_536;

/** Closed loop over kept connections: each asks again as soon as it has its answer. Rejects at any answer but 200. */
export async function runReading(job: ReadingJob): Promise<ReadingResult> {
  const load = new ReadingLoad(job);
  const before = process.cpuUsage();
  try {
    await load.ended;
  } finally {
    load.destroy();
  }
  const { user, system } = process.cpuUsage(before);
  return { ...load.result(), cpuSeconds: (user + system) / 1e6 };
}

class ReadingLoad implements HttpOwner {
  readonly #requests: readonly Buffer[];
  readonly #sentMs = new Map<HttpLane, number>();
  readonly #responseMs: number[] = [];
  readonly #ended = Promise.withResolvers<void>();
  readonly #startMs = performance.now();
  readonly #endMs: number;
  #next = 0;
  #bytes = 0;
  #lastMs = 0;

  constructor({ origin, paths, connections, seconds }: ReadingJob) {
    this.#requests = paths.map((path) => requestOf(origin, path));
    this.#endMs = this.#startMs + seconds * 1000;
    const readBuffer = Buffer.allocUnsafe(readBytes);
    for (let left = connections; left > 0; left--) this.#ask(new HttpLane(origin, this, readBuffer));
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  result(): Omit<ReadingResult, "cpuSeconds"> {
    const seconds = (this.#lastMs - this.#startMs) / 1000;
    const { length: requests } = this.#responseMs;
    return { requests, seconds, responseMs: distribution(this.#responseMs), bytes: this.#bytes };
  }

  destroy(): void {
    for (const lane of this.#sentMs.keys()) lane.destroy();
  }

  answered(lane: HttpLane, { status, bytes }: { status: number; bytes: number }): void {
    if (status !== 200) return this.#ended.reject(new Error(`Expected 200, got ${status}`));
    this.#lastMs = performance.now();
    this.#responseMs.push(this.#lastMs - (this.#sentMs.get(lane) ?? 0));
    this.#bytes += bytes;
    if (this.#lastMs < this.#endMs) this.#ask(lane);
    else this.#ended.resolve();
  }

  closed(_lane: HttpLane, error: Error): void {
    this.#ended.reject(error);
  }

  #ask(lane: HttpLane): void {
    const request = this.#requests[this.#next++ % this.#requests.length];
    if (request === undefined) throw new Error("Nothing to ask for");
    this.#sentMs.set(lane, performance.now());
    lane.get(request);
  }
}
