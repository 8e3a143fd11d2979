import type { IncomingMessage } from "node:http";
import { Refusal } from "../../errors.ts";
import { watchArrival } from "../arrival.ts";
import { GatheredBytes } from "./gathered-bytes.ts";

/** A post may take so much longer for each MiB that has come: some 100 KiB/s. */
const extraMsPerMib = 10_000;
const mib = 1024 * 1024;
const retryAfterSeconds = 5;

/** Longest time that a post of so many bytes may take to arrive. */
export function longestArrivalMs(graceMs: number, bytes: number): number {
  return graceMs + (bytes / mib) * extraMsPerMib;
}

/** Bytes of memory that posts may cost together, from their first byte until they are stored or refused. */
export class PostBudget {
  readonly #maxBytes: number;
  #takenBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Takes the bytes, or takes nothing and throws `no_room`. What was taken must be given back. */
  take(bytes: number): void {
    if (this.#takenBytes + bytes > this.#maxBytes) throw new Refusal("no_room", { retryAfterSeconds });
    this.#takenBytes += bytes;
  }

  give(bytes: number): void {
    this.#takenBytes -= bytes;
  }
}

export interface PostBounds {
  budget: PostBudget;
  /** Largest body. */
  maxBytes: number;
  /** What a byte of the body costs at most while it is turned into a mail, copies included. */
  costPerByte: number;
  /** Time that a post of no size may take; {@link longestArrivalMs} says what the others may. */
  graceMs: number;
}

/** A body that came whole. It holds its part of the budget until it is disposed. */
export class PostedBody implements Disposable {
  readonly bytes: Buffer;
  readonly #release: () => void;

  private constructor(bytes: Buffer, release: () => void) {
    this.bytes = bytes;
    this.#release = release;
  }

  /**
   * Reads a body, counting as it comes. Rejects with `mail_too_large`, `no_room`, `request_timeout` when it comes too slowly,
   * and `malformed_request` when the client leaves in the middle. What comes after a refusal is read and dropped.
   */
  static async read(request: IncomingMessage, bounds: PostBounds): Promise<PostedBody> {
    const { budget, maxBytes, costPerByte } = bounds;
    if (Number(request.headers["content-length"] ?? 0) > maxBytes) throw new Refusal("mail_too_large");
    const gathered = new GatheredBytes();
    let bytes = 0;
    const release = (): void => {
      gathered.clear();
      budget.give(bytes * costPerByte);
      bytes = 0;
    };
    const keep = (chunk: Buffer): void => {
      if (bytes + chunk.byteLength > maxBytes) throw new Refusal("mail_too_large");
      budget.take(chunk.byteLength * costPerByte);
      bytes += chunk.byteLength;
      gathered.add(chunk);
    };
    try {
      await arrive(request, keep, () => longestArrivalMs(bounds.graceMs, bytes));
      return new PostedBody(gathered.take(), release);
    } catch (error) {
      release();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#release();
  }
}

/**
 * Drops what is still to come of a post that was answered already, and the connection with it when that takes longer than
 * `timeoutMs`: a refusal must not buy more time than a good post has.
 */
export function dropRest(request: IncomingMessage, timeoutMs: number): void {
  if (request.complete || request.destroyed) return;
  watchArrival(request, timeoutMs, () => request.socket.destroy());
  request.resume();
}

/** Resolves at the end of the request; rejects with what `keep` throws, or when more time went by than `allowedMs` says. */
async function arrive(request: IncomingMessage, keep: (chunk: Buffer) => void, allowedMs: () => number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const startedMs = performance.now();
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  const leftMs = (): number => startedMs + allowedMs() - performance.now();
  const cutWhenLate = (): void => {
    if (isOver) return;
    if (leftMs() <= 0) reject(new Refusal("request_timeout"));
    else look();
  };
  const look = (): void => {
    // A busy server reads what waits in the socket before it calls anybody slow.
    timer = setTimeout(() => setImmediate(cutWhenLate), Math.max(1, leftMs()));
  };
  const onData = (chunk: Buffer): void => {
    try {
      keep(chunk);
    } catch (error) {
      reject(error);
    }
  };
  const onClose = (): void => reject(new Refusal("malformed_request"));
  look();
  if (request.destroyed) onClose();
  request.on("data", onData).once("end", resolve).once("close", onClose).on("error", onClose);
  try {
    await promise;
  } finally {
    isOver = true;
    clearTimeout(timer);
    // The error listener stays: what is dropped from here on may still break off.
    request.off("data", onData).off("end", resolve).off("close", onClose);
    request.resume();
  }
}
