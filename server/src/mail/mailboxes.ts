import { randomBytes } from "node:crypto";
import { parseAddress, parseDomain, type Address } from "../address.ts";
import { isRefusal, Refusal } from "../errors.ts";
import type { Mailbox, Store } from "../store/store.ts";
import type { Access } from "./access.ts";
import type { Feed } from "./feed.ts";

export interface MailboxesOptions {
  store: Store;
  feed: Pick<Feed, "refresh">;
  tempDomain: string;
  /** Lifetime of a temp mailbox that asks for none; 0 is for ever. */
  tempTtlMs: number;
  /** Longest lifetime that may be asked for; 0 is no limit. */
  tempMaxTtlMs: number;
  tempMaxMailboxes: number;
  /** How long a chosen name is kept from other users once given up. */
  nameReservedMs: number;
}

export interface TempRequest {
  /** Local part; left out: a random one. */
  name?: string;
  /** A domain that takes temp mailboxes; left out: the temp domain. */
  domain?: string;
  /** 0 is for ever, where the operator allows it. */
  ttlMs?: number;
}

// RFC 2142 role names, and the ones at which certificate authorities prove that a domain is yours (CA/Browser Forum
// Baseline Requirements section 3.2.2.4.4): nobody gets those by asking for them.
const roleNames = new Set(
  "abuse admin administrator hostmaster mailer-daemon noc postmaster root security webmaster".split(" "),
);
const randomTries = 8;
const pageSize = 1000;

/** What a key may do with mailboxes: see its own, make temp mailboxes and delete them. */
export class Mailboxes {
  readonly #options: MailboxesOptions;

  constructor(options: MailboxesOptions) {
    this.#options = options;
  }

  /** Every live mailbox that the key may read, oldest first. */
  async list(access: Access): Promise<Mailbox[]> {
    const all: Mailbox[] = [];
    for (;;) {
      const afterId = all.at(-1)?.id ?? 0;
      const page = await this.#options.store.listMailboxes({
        userId: access.userId,
        nowMs: Date.now(),
        afterId,
        limit: pageSize,
        ...(access.mailboxIds === null ? {} : { ids: access.mailboxIds }),
      });
      all.push(...page);
      if (page.length < pageSize) return all;
    }
  }

  /**
   * Makes a temp mailbox for the key's user; a limited key gains it in its scope, open sockets follow it at once.
   * Throws `read_only_key`, `invalid_parameter`, `domain_invalid`, `address_taken`, `address_reserved`, `too_many_mailboxes`.
   */
  async createTemp(access: Access, request: TempRequest): Promise<Mailbox> {
    if (access.readOnly) throw new Refusal("read_only_key");
    const domain = await this.#tempDomain(request.domain);
    const ttlMs = this.#ttl(request.ttlMs);
    const mailbox =
      request.name === undefined
        ? await this.#createRandom(access, domain, ttlMs)
        : await this.#createChosen(access, chosenAddress(request.name, domain), ttlMs);
    await this.#options.feed.refresh(access.userId);
    return mailbox;
  }

  /**
   * Deletes a temp mailbox with its mails. Throws `read_only_key`, `mailbox_scope_invalid` (absent, foreign and out of
   * scope alike) and `not_temp_mailbox`.
   */
  async deleteTemp(access: Access, address: string): Promise<void> {
    const { store, nameReservedMs, feed } = this.#options;
    if (access.readOnly) throw new Refusal("read_only_key");
    const nowMs = Date.now();
    const parsed = parseAddress(address);
    const mailbox = parsed === null ? null : await store.findMailbox(parsed.text, nowMs);
    const mine = mailbox !== null && mailbox.userId === access.userId;
    if (!mine || access.mailboxIds?.includes(mailbox.id) === false) throw new Refusal("mailbox_scope_invalid");
    if (mailbox.kind !== "temp") throw new Refusal("not_temp_mailbox");
    const deleted = await store.deleteMailbox({
      userId: access.userId,
      address: mailbox.address,
      kinds: ["temp"],
      mailboxIds: access.mailboxIds,
      nowMs,
      reserveMs: nameReservedMs,
    });
    if (!deleted) throw new Refusal("mailbox_scope_invalid");
    await feed.refresh(access.userId);
  }

  async #tempDomain(given: string | undefined): Promise<string> {
    const { store, tempDomain } = this.#options;
    if (given === undefined) return tempDomain;
    const name = parseDomain(given);
    const domains = name === null ? [] : await store.listDomains({ afterId: 0, limit: pageSize });
    if (!domains.some((domain) => domain.name === name && domain.allowsTemp)) throw new Refusal("domain_invalid");
    return name ?? tempDomain;
  }

  #ttl(given: number | undefined): number {
    const { tempTtlMs, tempMaxTtlMs } = this.#options;
    const ttlMs = given ?? tempTtlMs;
    if (given !== undefined && tempMaxTtlMs > 0 && (ttlMs === 0 || ttlMs > tempMaxTtlMs)) {
      throw new Refusal("invalid_parameter", {
        detail: `ttl may be at most ${Math.floor(tempMaxTtlMs / 1000)} seconds`,
      });
    }
    return ttlMs;
  }

  async #createChosen(access: Access, address: Address, ttlMs: number): Promise<Mailbox> {
    try {
      return await this.#create(access, address, { ttlMs, random: false });
    } catch (error) {
      // Whether a name is somebody's still or was lately is nobody else's business.
      throw isRefusal(error, "address_reserved") ? new Refusal("address_taken") : error;
    }
  }

  async #createRandom(access: Access, domain: string, ttlMs: number): Promise<Mailbox> {
    for (let attempt = 1; ; attempt++) {
      const address = parseAddress(`tmp${randomBytes(4).toString("hex")}@${domain}`);
      if (address === null) throw new Refusal("domain_invalid");
      try {
        return await this.#create(access, address, { ttlMs, random: true });
      } catch (error) {
        const used = isRefusal(error, "address_taken") || isRefusal(error, "address_reserved");
        if (!used || attempt === randomTries) throw error;
      }
    }
  }

  #create(access: Access, address: Address, life: { ttlMs: number; random: boolean }): Promise<Mailbox> {
    const nowMs = Date.now();
    return this.#options.store.createMailbox({
      userId: access.userId,
      address: address.text,
      kind: "temp",
      nowMs,
      expiresAtMs: life.ttlMs === 0 ? null : nowMs + life.ttlMs,
      random: life.random,
      forKeyId: access.keyId,
      maxTemp: this.#options.tempMaxMailboxes,
      takeReserved: false,
    });
  }
}

function chosenAddress(name: string, domain: string): Address {
  const address = parseAddress(`${name}@${domain}`);
  if (address === null || address.domain !== domain || !isPlainName(address)) {
    throw new Refusal("invalid_parameter", { detail: "name is not a local part" });
  }
  if (roleNames.has(address.local)) throw new Refusal("address_reserved");
  return address;
}

/**
 * A name that reads the same everywhere: no tag, which belongs to a mailbox and does not make one; no quotes, in which
 * another address could stand; nothing invisible.
 */
function isPlainName({ text, local, tag }: Address): boolean {
  return tag === null && !/^\+|\p{Default_Ignorable_Code_Point}/u.test(local) && !text.startsWith('"');
}
