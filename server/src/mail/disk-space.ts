import { statfs } from "node:fs/promises";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { Store } from "../store/store.ts";

/** How old what is known of the disk may be. */
const pollMs = 1_000;
export interface DiskSpaceOptions {
  /** A directory on the disk to be watched. */
  dir: string;
  minFreeBytes: number;
  maxMessageBytes: number;
  store: Pick<Store, "reusableBytes">;
  log: Logger;
  metrics: Metrics;
}

/**
 * Whether the disk has room for new mail, looked at once a second and never for each mail. It is low when less than one
 * and a half of the largest mail is free, or less than `minFreeBytes` with what the store can use again; it has room again
 * as soon as that is over. Where the file system does not say how large it is, there is room until a write fails.
 */
export class DiskSpace implements AsyncDisposable {
  readonly #options: DiskSpaceOptions;
  readonly #timer: NodeJS.Timeout;
  #looking: Promise<void> = Promise.resolve();
  #isLooking = false;
  #isLow = false;

  /** Resolves once it has looked. */
  static async watch(options: DiskSpaceOptions): Promise<DiskSpace> {
    const space = new DiskSpace(options);
    await space.#look();
    return space;
  }

  private constructor(options: DiskSpaceOptions) {
    this.#options = options;
    this.#timer = setInterval(() => {
      // A disk that does not answer is asked once.
      if (!this.#isLooking) this.#looking = this.#look();
    }, pollMs).unref();
  }

  get isLow(): boolean {
    return this.#isLow;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    try {
      const { bavail, bsize, blocks } = await statfs(this.#options.dir);
      // A file system that counts nothing, as some that are remote or in user space do, is not full.
      if (blocks > 0) this.#note(bavail * bsize, await this.#options.store.reusableBytes());
    } catch (error) {
      // What is known stays: the next write says what is wrong with the disk.
      this.#options.log.debug({ err: error }, "The free space of the disk is not known");
    } finally {
      this.#isLooking = false;
    }
  }

  #note(freeBytes: number, reusableBytes: number): void {
    const { minFreeBytes, maxMessageBytes, log, metrics } = this.#options;
    // Deleting mail may give nothing back to the disk, but room for other mail; its way through the log needs the disk.
    const isLow = freeBytes < bytesKeptFree(maxMessageBytes) || freeBytes + reusableBytes < minFreeBytes;
    metrics.diskFreeBytes.set(freeBytes);
    if (isLow === this.#isLow) return;
    this.#isLow = isLow;
    metrics.diskLow.set(isLow ? 1 : 0);
    if (isLow)
      log.error({ freeBytes, reusableBytes }, "The disk is nearly full: new mail is put off until there is room");
    else log.info({ freeBytes, reusableBytes }, "The disk has room again: new mail is taken");
  }
}

/** Bytes that the disk itself has to have free: for the largest mail and its way through the log. */
export function bytesKeptFree(maxMessageBytes: number): number {
  return 1.5 * maxMessageBytes;
}
