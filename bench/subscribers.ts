import { distribution, type Distribution } from "./distribution.ts";
import { numberIn } from "./sample-mail.ts";
import { WebSocketClient, type WebSocketOwner } from "./web-socket-client.ts";

export interface SubscriberOptions {
  /** URL of the WebSocket, with its key. */
  websocket: string;
  /** WebSockets that get every mail; 0: nobody listens. */
  subscribers: number;
  /** Mails that each of them has to get. */
  mails: number;
}

export interface SubscriberResult {
  /** Frames that did not arrive. */
  lost: number;
  /** Frames that came twice or out of the order of their ids. */
  misplaced: number;
  /** From when a mail's time began to its frame at a subscriber. */
  pushMs: Distribution;
}

const readBytes = 65_536;
const idMark = '"id":';

/** WebSockets that get sample mails, each of which has a number, and note when. */
export class Subscribers implements WebSocketOwner, Disposable {
  /** When each mail's time began, by its number; whoever sends a mail writes it here first. */
  readonly sinceMs: Float64Array;
  readonly #clients: WebSocketClient[] = [];
  readonly #lastIds = new Map<WebSocketClient, number>();
  readonly #pushMs: number[] = [];
  readonly #expected: number;
  readonly #opened = Promise.withResolvers<void>();
  readonly #arrived = Promise.withResolvers<void>();
  #open = 0;
  #misplaced = 0;

  constructor({ websocket, subscribers, mails }: SubscriberOptions) {
    this.sinceMs = new Float64Array(mails);
    this.#expected = mails * subscribers;
    const readBuffer = Buffer.allocUnsafe(readBytes);
    for (let left = subscribers; left > 0; left--) {
      this.#clients.push(new WebSocketClient(websocket, this, readBuffer));
    }
    if (subscribers > 0) return;
    this.#opened.resolve();
    this.#arrived.resolve();
  }

  /** Resolves when all are subscribed; rejects when one could not. */
  get allOpen(): Promise<void> {
    return this.#opened.promise;
  }

  /** Resolves when every subscriber has every mail; rejects when one is lost. */
  get allArrived(): Promise<void> {
    return this.#arrived.promise;
  }

  result(): SubscriberResult {
    const lost = this.#expected - this.#pushMs.length;
    return { lost, misplaced: this.#misplaced, pushMs: distribution(this.#pushMs) };
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients) client.destroy();
  }

  opened(): void {
    if (++this.#open === this.#clients.length) this.#opened.resolve();
  }

  message(client: WebSocketClient, payload: Buffer): void {
    const nowMs = performance.now();
    const number = numberIn(payload);
    const sinceMs = number === null ? 0 : (this.sinceMs[number] ?? 0);
    // A mail of somebody else's.
    if (sinceMs === 0) return;
    this.#noteOrder(client, payload);
    this.#pushMs.push(nowMs - sinceMs);
    if (this.#pushMs.length === this.#expected) this.#arrived.resolve();
  }

  closed(_client: WebSocketClient, error: Error): void {
    this.#opened.reject(error);
    this.#arrived.reject(error);
  }

  #noteOrder(client: WebSocketClient, payload: Buffer): void {
    const at = payload.lastIndexOf(idMark);
    const id = at === -1 ? Number.NaN : Number.parseInt(payload.toString("latin1", at + idMark.length, at + 30), 10);
    // Not every server has numbers for ids.
    if (Number.isNaN(id)) return;
    if (id <= (this.#lastIds.get(client) ?? 0)) this.#misplaced++;
    this.#lastIds.set(client, id);
  }
}
