import { createHash } from "node:crypto";
import { clientNetwork } from "../network.ts";

export interface GreylistOptions {
  /** How long the first try of an unknown sender is put off; 0 puts off nobody. */
  delayMs: number;
  /** How long after the first try another one counts. */
  windowMs: number;
  /** How long a sender stays known after its last mail. */
  lifetimeMs: number;
  /** Senders that are remembered; the one that was longest silent goes first. Default 200,000, some 30 MB. */
  maxSenders?: number;
}

interface Sender {
  firstMs: number;
  /** It came back in time. */
  isKnown: boolean;
  lastMs: number;
}

/**
 * Puts off senders that were never seen before: most programs that send junk do not try again. A sender is a client's
 * network (IPv4 /24, IPv6 /64) with an envelope sender and a recipient. Kept in memory: after a restart everybody is
 * unknown once more.
 */
export class Greylist {
  readonly #options: GreylistOptions;
  /** In the order of their last mail. */
  readonly #senders = new Map<string, Sender>();

  constructor(options: GreylistOptions) {
    this.#options = options;
  }

  get isOn(): boolean {
    return this.#options.delayMs > 0;
  }

  get size(): number {
    return this.#senders.size;
  }

  /** True when this mail has to wait. */
  putsOff(mail: { ip: string; from: string; to: string }, nowMs: number): boolean {
    const { delayMs, maxSenders = 200_000 } = this.#options;
    if (delayMs === 0) return false;
    const key = keyOf(mail);
    const known = this.#senders.get(key);
    this.#senders.delete(key);
    const sender = known !== undefined && this.#isCurrent(known, nowMs) ? known : newSender(nowMs);
    sender.isKnown ||= nowMs - sender.firstMs >= delayMs;
    sender.lastMs = nowMs;
    this.#senders.set(key, sender);
    if (this.#senders.size > maxSenders) this.#dropOldest();
    return !sender.isKnown;
  }

  #isCurrent({ firstMs, isKnown, lastMs }: Sender, nowMs: number): boolean {
    const { windowMs, lifetimeMs } = this.#options;
    return isKnown ? nowMs - lastMs <= lifetimeMs : nowMs - firstMs <= windowMs;
  }

  #dropOldest(): void {
    const oldest = this.#senders.keys().next();
    if (!oldest.done) this.#senders.delete(oldest.value);
  }
}

function newSender(nowMs: number): Sender {
  return { firstMs: nowMs, isKnown: false, lastMs: nowMs };
}

/** Short and of one length, however long the addresses are. */
function keyOf({ ip, from, to }: { ip: string; from: string; to: string }): string {
  return createHash("sha256")
    .update(`${clientNetwork(ip)} ${from} ${to}`)
    .digest("base64url")
    .slice(0, 24);
}
