import type { ServerResponse } from "node:http";
import { Refusal } from "../errors.ts";

/** Bytes of lists that the clients of all users, and of one user, may leave unread. One list more always fits. */
const maxBytes = 256 * 1024 * 1024;
const maxBytesPerUser = 64 * 1024 * 1024;
const retryAfterSeconds = 5;

/**
 * Lists that were made and that their clients have not read to the end. A list may be megabytes, and a client that asks
 * without reading would have the server hold them all.
 */
export class UnreadAnswers {
  readonly #byUser = new Map<number, number>();
  #bytes = 0;

  /** Throws `too_many_answers` when too much is unread already. To be asked before a list is made. */
  admit(userId: number): void {
    if (this.#bytes >= maxBytes || (this.#byUser.get(userId) ?? 0) >= maxBytesPerUser) {
      throw new Refusal("too_many_answers", { retryAfterSeconds });
    }
  }

  /** Counts an answer of so many bytes until it was handed to the operating system or its connection is gone. */
  hold(userId: number, bytes: number, response: ServerResponse): void {
    if (response.destroyed) return;
    this.#add(userId, bytes);
    response.once("close", () => this.#add(userId, -bytes));
  }

  #add(userId: number, bytes: number): void {
    this.#bytes += bytes;
    const held = (this.#byUser.get(userId) ?? 0) + bytes;
    if (held === 0) this.#byUser.delete(userId);
    else this.#byUser.set(userId, held);
  }
}
