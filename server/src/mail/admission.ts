import type { Address } from "../address.ts";
import { isPublicAddress } from "../network.ts";
import { isHandedOn, type Envelope, type Origin } from "../origin.ts";
import type { SenderDesk } from "../sender/sender.ts";
import type { Greylist } from "./greylist.ts";
import type { SenderPolicies } from "./sender-policy.ts";

export interface AdmissionOptions {
  policies: Pick<SenderPolicies, "standingOf">;
  greylist: Greylist;
  /** Asks the DNS block lists; `null`: there are none. */
  blockLists: Pick<SenderDesk, "isListed"> | null;
}

/** How long what the block lists said about a client is kept here. */
const listingLifetimeMs = 60_000;
const maxListings = 10_000;

/**
 * Whether a sender may talk to us at all, before any of its mail is taken: the operator's lists first, then DNS block
 * lists, then greylisting. Whoever is on the list of allowed senders is asked nothing more.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #listings = new Map<string, { isListed: Promise<boolean>; sinceMs: number }>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Starts looking a client up, so that the answer is there when it is asked for. */
  expect(origin: Origin): void {
    if (this.#options.blockLists !== null && isSender(origin)) void this.#lookUp(origin.ip);
  }

  /** True when the operator has blocked this sender. */
  isBlocked(envelope: Envelope): boolean {
    return this.#options.policies.standingOf(envelope) === "blocked";
  }

  /**
   * What else speaks against taking mail of this envelope for a recipient that is there; `null`: nothing. `null` at once
   * where nothing has to be asked, which is the way it is unless the operator wants it otherwise.
   */
  objection(envelope: Envelope, to: Address): Promise<"listed" | "greylisted" | null> | null {
    const { policies, greylist, blockLists } = this.#options;
    const { origin } = envelope;
    if (origin === null || (blockLists === null && !greylist.isOn)) return null;
    if (!isSender(origin) || policies.standingOf(envelope) === "allowed") return null;
    return this.#ask(origin.ip, envelope.from, to.text);
  }

  async #ask(ip: string, from: string, to: string): Promise<"listed" | "greylisted" | null> {
    if (this.#options.blockLists !== null && (await this.#lookUp(ip))) return "listed";
    return this.#options.greylist.putsOff({ ip, from, to }, performance.now()) ? "greylisted" : null;
  }

  #lookUp(ip: string): Promise<boolean> {
    const nowMs = performance.now();
    const known = this.#listings.get(ip);
    if (known !== undefined && nowMs - known.sinceMs < listingLifetimeMs) return known.isListed;
    this.#listings.delete(ip);
    const isListed = this.#options.blockLists?.isListed(ip) ?? Promise.resolve(false);
    this.#listings.set(ip, { isListed, sinceMs: nowMs });
    const oldest = this.#listings.keys().next();
    if (this.#listings.size > maxListings && !oldest.done) this.#listings.delete(oldest.value);
    return isListed;
  }
}

/** Whether the client may be a stranger's own mail server. */
function isSender(origin: Origin): boolean {
  return !isHandedOn(origin) && isPublicAddress(origin.ip);
}
