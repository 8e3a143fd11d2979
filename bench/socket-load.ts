import { setTimeout as delay } from "node:timers/promises";
import { distribution, type Distribution } from "./distribution.ts";
import { WebSocketClient, type WebSocketOwner } from "./web-socket-client.ts";

/** WebSockets that stay open, and get nothing, until the generator's process ends. */
export interface HoldJob {
  kind: "hold";
  /** URL of the WebSocket, with its key. */
  websocket: string;
  sockets: number;
}

export interface HoldResult {
  /** Until all were open. */
  seconds: number;
}

/** WebSockets that come back within a second, each with mails to catch up on. */
export interface StormJob {
  kind: "storm";
  /** URL of the WebSocket, with its key and `since`. */
  websocket: string;
  sockets: number;
  /** Frames that each has to get. */
  frames: number;
}

export interface StormResult {
  /** From when each was due to come back until it was open. */
  openMs: Distribution;
  /** From when each was due to come back until it had all its frames. */
  caughtUpMs: Distribution;
  /** Until the last one had all its frames, counted from the first that was due. */
  seconds: number;
  lost: number;
}

const readBytes = 65_536;
/** New connections on their way at once while sockets are opened to be held: a listener's queue is not endless. */
const openingAtOnce = 200;
const stormMs = 1_000;
const stormPatienceMs = 60_000;

const held: WebSocketClient[] = [];

/** Resolves once all are open; rejects when one could not be opened. */
export async function runHold({ websocket, sockets }: HoldJob): Promise<HoldResult> {
  const startMs = performance.now();
  const readBuffer = Buffer.allocUnsafe(readBytes);
  for (let left = sockets; left > 0; left -= openingAtOnce) {
    const batch = Array.from({ length: Math.min(left, openingAtOnce) }, () => openSocket(websocket, readBuffer));
    held.push(...(await Promise.all(batch)));
  }
  return { seconds: (performance.now() - startMs) / 1000 };
}

function openSocket(websocket: string, readBuffer: Uint8Array): Promise<WebSocketClient> {
  const { promise, resolve, reject } = Promise.withResolvers<WebSocketClient>();
  new WebSocketClient(
    websocket,
    { opened: resolve, message: () => undefined, closed: (_client, error) => reject(error) },
    readBuffer,
  );
  return promise;
}

/** Open loop: each is due at its moment, whatever the server does. Rejects when one is refused. */
export async function runStorm(job: StormJob): Promise<StormResult> {
  const storm = new Storm(job);
  try {
    await Promise.race([
      Promise.all([storm.runClock(), storm.ended]),
      delay(stormPatienceMs, undefined, { ref: false }),
    ]);
    return storm.result();
  } finally {
    storm.destroy();
  }
}

class Storm implements WebSocketOwner {
  readonly #job: StormJob;
  readonly #clients = new Map<WebSocketClient, { dueMs: number; frames: number }>();
  readonly #openMs: number[] = [];
  readonly #caughtUpMs: number[] = [];
  readonly #ended = Promise.withResolvers<void>();
  #startMs = 0;
  #lastMs = 0;
  #frames = 0;

  constructor(job: StormJob) {
    this.#job = job;
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  async runClock(): Promise<void> {
    const { websocket, sockets } = this.#job;
    const readBuffer = Buffer.allocUnsafe(readBytes);
    this.#startMs = performance.now();
    for (let due = 0; due < sockets; await delay(1)) {
      const nowMs = performance.now();
      for (; due < sockets; due++) {
        const dueMs = this.#startMs + (due * stormMs) / sockets;
        if (dueMs > nowMs) break;
        this.#clients.set(new WebSocketClient(websocket, this, readBuffer), { dueMs, frames: 0 });
      }
    }
  }

  result(): StormResult {
    return {
      openMs: distribution(this.#openMs),
      caughtUpMs: distribution(this.#caughtUpMs),
      seconds: (this.#lastMs - this.#startMs) / 1000,
      lost: this.#job.sockets * this.#job.frames - this.#frames,
    };
  }

  destroy(): void {
    for (const client of this.#clients.keys()) client.destroy();
  }

  opened(client: WebSocketClient): void {
    this.#openMs.push(performance.now() - this.#stateOf(client).dueMs);
  }

  message(client: WebSocketClient): void {
    const state = this.#stateOf(client);
    this.#frames++;
    if (++state.frames !== this.#job.frames) return;
    this.#lastMs = performance.now();
    this.#caughtUpMs.push(this.#lastMs - state.dueMs);
    if (this.#caughtUpMs.length === this.#job.sockets) this.#ended.resolve();
  }

  closed(_client: WebSocketClient, error: Error): void {
    this.#ended.reject(error);
  }

  #stateOf(client: WebSocketClient): { dueMs: number; frames: number } {
    const state = this.#clients.get(client);
    if (state === undefined) throw new Error("A socket that is not of this storm");
    return state;
  }
}
