import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "../log.ts";
import { NetworkSet } from "../network.ts";
import { isHandedOn, type Envelope } from "../origin.ts";
import type { DmarcPolicy, RuleAction, RuleKind, SenderPolicy, Store } from "../store/store.ts";

/** How the operator's lists see a sender. Who is on both is allowed. */
export type Standing = "allowed" | "blocked" | "unlisted";

/** How often the store is asked for changes, so that they count within a second. */
const watchIntervalMs = 300;

/**
 * The operator's word about senders, in memory: the lists of allowed and blocked ones, and what each domain does with mail that
 * fails DMARC. Follows the store, also when another process changes it; while the store cannot be read, what was known stands.
 */
export class SenderPolicies implements AsyncDisposable {
  readonly #store: Store;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  #watching: Promise<void> = Promise.resolve();
  #revision = 0;
  #domains: ReadonlyMap<string, DmarcPolicy> = new Map();
  #allowed: SenderList | null = null;
  #blocked: SenderList | null = null;

  /** Resolves once everything is known. Rejects when the store cannot be read. */
  static async open(store: Store, log: Logger): Promise<SenderPolicies> {
    const policies = new SenderPolicies(store, log);
    await policies.#look();
    policies.#watching = policies.#watch();
    return policies;
  }

  private constructor(store: Store, log: Logger) {
    this.#store = store;
    this.#log = log;
  }

  /** Mail of a program of this machine is nobody's but the operator's: it is on no list. */
  standingOf({ from, origin }: Envelope): Standing {
    if ((this.#allowed === null && this.#blocked === null) || origin === null) return "unlisted";
    const ip = isHandedOn(origin) ? "" : origin.ip;
    if (this.#allowed?.has(from, ip)) return "allowed";
    return this.#blocked?.has(from, ip) ? "blocked" : "unlisted";
  }

  /** What the domain of a recipient does with mail that fails DMARC. */
  dmarcOf(mailTo: string): DmarcPolicy {
    if (this.#domains.size === 0) return "accept";
    return this.#domains.get(mailTo.slice(mailTo.lastIndexOf("@") + 1)) ?? "accept";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#watching;
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stop;
    for (;;) {
      // Rejects only when it is aborted, which the condition sees.
      await delay(watchIntervalMs, undefined, { ref: false, signal }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await this.#look();
      } catch (error) {
        this.#log.error({ err: error }, "Could not look for changes of the lists of senders");
      }
    }
  }

  async #look(): Promise<void> {
    const policy = await this.#store.senderPolicy(this.#revision);
    if (policy === null) return;
    this.#revision = policy.revision;
    this.#domains = new Map(policy.domains.map(({ name, dmarc }) => [name, dmarc]));
    this.#allowed = listOf(policy, "allow");
    this.#blocked = listOf(policy, "block");
  }
}

function listOf({ rules }: SenderPolicy, action: RuleAction): SenderList | null {
  const own = rules.filter((rule) => rule.action === action);
  const values = (kind: RuleKind): string[] => own.flatMap((rule) => (rule.kind === kind ? [rule.value] : []));
  return own.length === 0 ? null : new SenderList(values);
}

class SenderList {
  readonly #addresses: ReadonlySet<string>;
  readonly #domains: ReadonlySet<string>;
  readonly #networks: NetworkSet;

  constructor(values: (kind: RuleKind) => string[]) {
    this.#addresses = new Set(values("address"));
    this.#domains = new Set(values("domain"));
    this.#networks = new NetworkSet(values("network"));
  }

  has(from: string, ip: string): boolean {
    return this.#addresses.has(from) || this.#hasDomainOf(from) || this.#networks.has(ip);
  }

  /** A domain stands for its subdomains too. */
  #hasDomainOf(from: string): boolean {
    if (this.#domains.size === 0) return false;
    let name = from.slice(from.lastIndexOf("@") + 1);
    while (name !== "") {
      if (this.#domains.has(name)) return true;
      const dot = name.indexOf(".");
      name = dot < 0 ? "" : name.slice(dot + 1);
    }
    return false;
  }
}
