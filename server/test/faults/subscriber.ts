import { WebSocket } from "ws";
import type { SeedPush } from "@catmails/client";
import { until } from "../support/until.ts";
import type { Resident } from "./household.ts";
import type { PushedMail } from "./verdict.ts";

/** A program that follows one user's mails over many crashes: it comes back each time with the last id it saw. */
export class Subscriber implements Disposable {
  /** Everything it was pushed, in that order. */
  readonly pushed: PushedMail[] = [];
  readonly #resident: Resident;
  #socket: WebSocket | null = null;

  constructor(resident: Resident) {
    this.#resident = resident;
  }

  /** Resolves once the server has taken it. The socket before has to be gone. */
  async connect(websocket: string): Promise<void> {
    const { address, key } = this.#resident;
    const socket = new WebSocket(`${websocket}?key=${key}&since=${this.#lastId}`);
    // A killed server ends sockets the hard way.
    socket.on("error", () => undefined);
    socket.on("message", (data: Buffer) => {
      const { id, subject } = JSON.parse(data.toString()) as SeedPush;
      this.pushed.push({ owner: address, id, token: subject });
    });
    this.#socket = socket;
    await new Promise((resolve, reject) => socket.once("open", resolve).once("close", reject));
  }

  /** Resolves once it has seen this id; rejects after a minute. */
  async sees(lastId: number): Promise<void> {
    await until(`${this.#resident.address} is pushed ${lastId}`, () => this.#lastId >= lastId);
  }

  /** Resolves once the connection is over and everything that came over it has been read. */
  async gone(): Promise<void> {
    const socket = this.#socket;
    if (socket === null || socket.readyState === WebSocket.CLOSED) return;
    await new Promise((resolve) => socket.once("close", resolve));
  }

  [Symbol.dispose](): void {
    this.#socket?.terminate();
  }

  get #lastId(): number {
    return this.pushed.at(-1)?.id ?? 0;
  }
}
