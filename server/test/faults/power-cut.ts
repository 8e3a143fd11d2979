import type { DiskEvent } from "./disk-record.ts";
import type { Random } from "../support/random.ts";

/** A disk may tear a write anywhere between two of these. */
const sectorBytes = 512;

export interface PowerCut {
  /** Contents of the files before the first event. */
  before: ReadonlyMap<string, Buffer>;
  events: readonly DiskEvent[];
  /** The moment, as an event's `startedAt`. */
  at: number;
  random: Random;
  /** False: a disk that says it has synced and has not. */
  keepsItsWord: boolean;
}

/**
 * What a disk may hold after the power went: everything that a completed sync covers, and of the rest any part, in any
 * order, in pieces of a sector. A file that was made or removed may be there or not until its directory was synced.
 */
export function cutPower(cut: PowerCut): Map<string, Buffer> {
  const begun = cut.events.filter((event) => event.startedAt <= cut.at);
  const synced = cut.keepsItsWord ? lastSyncs(begun, cut.at) : new Map<string, number>();
  const isSynced = (file: string, since: number): boolean => (synced.get(file) ?? 0) > since;
  const files = new Map([...cut.before].map(([name, bytes]) => [name, new Image(bytes, true)]));
  for (const event of begun) {
    if (event.kind === "reply" || event.kind === "sync") continue;
    const { file, endedAt } = event;
    const image = files.get(file) ?? new Image(Buffer.alloc(0), false);
    files.set(file, image);
    if (event.kind === "create" || event.kind === "unlink") {
      if (isSynced("", endedAt) || cut.random.chance(0.5)) image.exists = event.kind === "create";
    } else if (event.kind === "truncate") {
      if (isSynced(file, endedAt) || cut.random.chance(0.5)) image.truncate(event.length);
    } else if (isSynced(file, endedAt)) image.write(event.offset, event.bytes);
    else if (cut.random.chance(0.7)) image.tear(event.offset, event.bytes, cut.random);
  }
  const there = [...files].filter(([, image]) => image.exists);
  return new Map(there.map(([name, image]) => [name, image.content()]));
}

/** For each file, when the last sync of it began that was over before the cut. It covers what had been done by then. */
function lastSyncs(events: readonly DiskEvent[], at: number): Map<string, number> {
  const last = new Map<string, number>();
  for (const event of events) {
    if (event.kind === "sync" && event.endedAt < at) last.set(event.file, event.startedAt);
  }
  return last;
}

class Image {
  exists: boolean;
  #bytes: Buffer;
  #length: number;

  constructor(before: Buffer, exists: boolean) {
    this.exists = exists;
    this.#bytes = Buffer.from(before);
    this.#length = before.length;
  }

  write(offset: number, bytes: Buffer): void {
    this.#grow(offset + bytes.length);
    bytes.copy(this.#bytes, offset);
  }

  /** Some sectors of it, or all. */
  tear(offset: number, bytes: Buffer, random: Random): void {
    const chance = random.pick([0.5, 1]);
    for (let start = 0; start < bytes.length; start += sectorBytes) {
      if (random.chance(chance)) this.write(offset + start, bytes.subarray(start, start + sectorBytes));
    }
  }

  truncate(length: number): void {
    this.#grow(length);
    this.#bytes.fill(0, length, this.#length);
    this.#length = length;
  }

  content(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(length: number): void {
    if (length > this.#bytes.length)
      this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(length * 2 - this.#bytes.length)]);
    this.#length = Math.max(this.#length, length);
  }
}
