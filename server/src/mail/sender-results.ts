import { parseDomain } from "../address.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { isPublicAddress } from "../network.ts";
import { isHandedOn, type Envelope } from "../origin.ts";
import type { Authentication, SenderDesk } from "../sender/sender.ts";
import type { CommittedMail, NewMailRecipient, SenderRecord, Store } from "../store/store.ts";
import type { SenderPolicies } from "./sender-policy.ts";

export interface SenderResultsOptions {
  store: Store;
  desk: Pick<SenderDesk, "check">;
  policies: Pick<SenderPolicies, "dmarcOf">;
  log: Logger;
  metrics: Metrics;
  /** `public`: mail from public addresses only; `all`: also from private networks and this machine. */
  checks: "public" | "all" | "off";
}

/** A check that is under way: what it finds, or `null` when nobody came to look. */
export type SenderCheck = Promise<Authentication | null>;

type Listener = () => void;

/** Results that wait to be stored; any more are dropped, and their mails stay unchecked. */
const maxQueued = 10_000;
/** Results of one call to the store. */
const maxBatch = 200;

/**
 * Has the senders of mails checked and keeps what is found, beside the way of the mail. Nothing here delays or fails a
 * mail, except where a recipient's domain refuses mail that fails DMARC: then the check is awaited, 5 s at most.
 */
export class SenderResults implements AsyncDisposable {
  readonly #options: SenderResultsOptions;
  readonly #listeners = new Map<number, Set<Listener>>();
  #queue: SenderRecord[] = [];
  #storing: Promise<void> | null = null;
  #isClosed = false;

  constructor(options: SenderResultsOptions) {
    this.#options = options;
  }

  /** Starts a check where there is something to check; `raw` is copied before this returns. */
  begin({ from, origin }: Envelope, raw: Uint8Array): SenderCheck | null {
    const { desk, checks, metrics } = this.#options;
    if (origin === null || isHandedOn(origin) || checks === "off") return null;
    if (checks === "public" && !isPublicAddress(origin.ip)) return null;
    const check = desk.check({ raw, envelopeFrom: from, ip: origin.ip, helo: origin.helo });
    if (check === null) metrics.senderChecks.inc({ dmarc: "skipped" });
    return check;
  }

  /** The same check, of which nothing is believed that is about another author than the one that readers are shown. */
  async about(author: string, check: SenderCheck): SenderCheck {
    const found = await check;
    return found === null || isAbout(author, found) ? found : { ...found, dmarc: aboutAnother(found) };
  }

  /**
   * Whether the mail is to be refused: its sender's domain asks to have it rejected, or it names no one domain that could be
   * asked, and the domain of one of the recipients refuses such mail. Waits for the check only then. One reply answers all recipients, so the mail is refused for all of them.
   */
  async refuses(recipients: readonly NewMailRecipient[], check: SenderCheck): Promise<boolean> {
    const { policies } = this.#options;
    if (!recipients.some(({ mailTo }) => policies.dmarcOf(mailTo) === "refuse")) return false;
    const found = await check;
    return found !== null && wishFor(found) === "reject";
  }

  /** Stores what a check finds with the mails it was about, once it is there. Never rejects. */
  async keep(delivered: CommittedMail["delivered"], check: SenderCheck): Promise<void> {
    const found = await check;
    if (found === null || this.#isClosed || this.#queue.length + delivered.length > maxQueued) return;
    const { policies, metrics } = this.#options;
    metrics.senderChecks.inc({ dmarc: found.dmarc.result });
    const findings = JSON.stringify(found);
    const isSuspicious = wishFor(found) !== null;
    for (const { userId, id, mailTo } of delivered) {
      const marked = isSuspicious && policies.dmarcOf(mailTo) !== "accept";
      this.#queue.push({ userId, id, dmarc: found.dmarc.result, marked, findings });
    }
    this.#storing ??= this.#store();
  }

  /** Calls back after results for mails of this user were stored. */
  listen(userId: number, listener: Listener): Disposable {
    const listeners = this.#listeners.get(userId) ?? new Set();
    this.#listeners.set(userId, listeners.add(listener));
    return {
      [Symbol.dispose]: () => {
        listeners.delete(listener);
        if (listeners.size === 0) this.#listeners.delete(userId);
      },
    };
  }

  /** Stores what is there; mails whose check is not done stay unchecked. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await this.#storing;
  }

  /** What comes while one batch is being synced is the next batch. */
  async #store(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, maxBatch);
      try {
        await this.#options.store.recordSenders(batch);
        this.#tell(batch);
      } catch (error) {
        this.#options.log.error({ err: error, mails: batch.length }, "Could not keep what was found out about senders");
      }
    }
    this.#storing = null;
  }

  #tell(batch: readonly SenderRecord[]): void {
    for (const userId of new Set(batch.map((record) => record.userId))) {
      for (const listener of [...(this.#listeners.get(userId) ?? [])]) listener();
    }
  }
}

/**
 * What should be done with a mail, where anything should. Of a From with no domain or several readers see one that nobody
 * was asked about, so it must not be easier than a From that is forged.
 */
function wishFor({ dmarc }: Authentication): "reject" | "quarantine" | null {
  if (dmarc.result === "permerror") return "reject";
  if (dmarc.result !== "fail" || dmarc.policy === "none") return null;
  return dmarc.policy;
}

/** A From that is no From by the letter is read by us in one way and by the check in another: a door for anybody's name. */
function isAbout(author: string, { dmarc }: Authentication): boolean {
  if (author === "" || dmarc.domain === null || dmarc.result === "permerror") return true;
  return canonical(author.slice(author.lastIndexOf("@") + 1)) === canonical(dmarc.domain);
}

function canonical(domain: string): string {
  const bare = domain.replace(/\.$/, "");
  return parseDomain(bare) ?? bare.toLowerCase();
}

function aboutAnother({ dmarc: { domain } }: Authentication): Authentication["dmarc"] {
  return { result: "permerror", domain, policy: null, aligned: [], reason: "From can be read in more than one way" };
}
