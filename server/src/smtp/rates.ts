import { isIP } from "node:net";
import type { Logger } from "../log.ts";
import type { NetworkSet } from "../network.ts";
import { networkOf } from "./admission.ts";
import { TokenBuckets } from "./token-buckets.ts";

/** How much clients may do; 0 is no limit. A client is an IPv4 address or an IPv6 /64. */
export interface RateLimits {
  /** Clients that none of this holds for. */
  trusted: NetworkSet | null;
  connectionsPerMinute: number;
  mailsPerMinute: number;
  /** Mails to one mailbox, from all clients together. */
  mailboxMailsPerMinute: number;
  /** Recipients that do not exist, in the time of {@link unknownPeriodMs}. */
  unknownRecipients: number;
  /** Also how long a client that named more is told nothing. */
  unknownPeriodMs: number;
}

/** Clients that are told nothing at once; of more, the first are let go. */
const maxHushed = 50_000;

/** Counts what clients do, over all their connections. Memory is bounded: of too many clients the oldest are forgotten. */
export class Rates {
  readonly #limits: RateLimits;
  readonly #log: Logger;
  readonly #connections: TokenBuckets;
  readonly #mails: TokenBuckets;
  readonly #mailboxes: TokenBuckets;
  readonly #unknown: TokenBuckets;
  /** Until when clients are told nothing. */
  readonly #hushed = new Map<string, number>();

  constructor(limits: RateLimits, log: Logger) {
    this.#limits = limits;
    this.#log = log;
    this.#connections = new TokenBuckets(limits.connectionsPerMinute);
    this.#mails = new TokenBuckets(limits.mailsPerMinute);
    this.#mailboxes = new TokenBuckets(limits.mailboxMailsPerMinute);
    this.#unknown = new TokenBuckets(limits.unknownRecipients, limits.unknownPeriodMs);
  }

  /** A client of which is counted what it does; `null` when nothing is. */
  visitor(remote: string): Visitor | null {
    if (this.#isTrusted(remote)) return null;
    const network = networkOf(remote);
    return {
      mayConnect: () => this.#connections.take(network, performance.now()),
      mayMail: () => this.#mails.take(network, performance.now()),
      mayName: () => !this.#isHushed(network),
      noteUnknown: () => this.#noteUnknown(network),
      mayReach: (mailbox) => this.#mailboxes.has(mailbox, performance.now()),
      noteDelivered: (mailboxes) => {
        // One for each address of it: with a hundred tags a mail is a hundred mails there, and all were let in together.
        for (const mailbox of mailboxes) this.#mailboxes.owe(mailbox, performance.now());
      },
    };
  }

  /** What has no address is no network: a Unix socket of this machine. */
  #isTrusted(remote: string): boolean {
    return this.#limits.trusted?.has(remote) === true || isIP(remote.replace(/%.*$/, "")) === 0;
  }

  #isHushed(network: string): boolean {
    const untilMs = this.#hushed.get(network);
    if (untilMs === undefined) return false;
    if (performance.now() < untilMs) return true;
    this.#hushed.delete(network);
    return false;
  }

  #noteUnknown(network: string): void {
    const nowMs = performance.now();
    if (this.#unknown.take(network, nowMs)) return;
    const { unknownPeriodMs, unknownRecipients } = this.#limits;
    this.#hushed.set(network, nowMs + unknownPeriodMs);
    const [first] = this.#hushed.keys();
    if (this.#hushed.size > maxHushed && first !== undefined) this.#hushed.delete(first);
    this.#log.warn(
      { network, unknownRecipients },
      "A client names too many unknown recipients and is told nothing now",
    );
  }
}

/** One client on one of its connections. */
export interface Visitor {
  /** It connects, to be asked once; false when it does so too often. */
  mayConnect(): boolean;
  /** It begins a mail; false when it sends too many. */
  mayMail(): boolean;
  /** False while it is to be told nothing about recipients: it has named too many that do not exist. */
  mayName(): boolean;
  /** It has named a recipient that does not exist. */
  noteUnknown(): void;
  /** False when a mailbox gets too many mails. */
  mayReach(mailbox: number): boolean;
  /** A mail went into these mailboxes, into one of them as often as it is named. */
  noteDelivered(mailboxes: Iterable<number>): void;
}
