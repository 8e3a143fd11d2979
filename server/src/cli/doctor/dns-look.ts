import { Resolver } from "node:dns/promises";
import type { TlsaRecord } from "node:dns";
import { systemCodeOf } from "../../errors.ts";

const timeoutMs = 2_000;
/** What the DNS says when there is a name but no such record, or no name. */
const nothing = new Set(["ENODATA", "ENOTFOUND"]);

/** Questions to the DNS, by `dns_servers` (`system`: those of this machine). Each answers what there is, and rejects when nobody knows. */
export class DnsLook {
  readonly #resolver = new Resolver({ timeout: timeoutMs, tries: 2 });

  constructor(servers: string) {
    if (servers !== "system") this.#resolver.setServers(servers.split(","));
  }

  /** Lower-case names of a domain's mail servers, the preferred one first. `""` is a domain that takes no mail (RFC 7505). */
  async mailServers(domain: string): Promise<string[]> {
    const records = await found(this.#resolver.resolveMx(domain));
    return records.toSorted((a, b) => a.priority - b.priority).map(({ exchange }) => exchange.toLowerCase());
  }

  /** IPv4 addresses, then IPv6. */
  async addresses(name: string): Promise<string[]> {
    const both = await Promise.all([found(this.#resolver.resolve4(name)), found(this.#resolver.resolve6(name))]);
    return both.flat();
  }

  /** True when the name only stands for another one. */
  async isAlias(name: string): Promise<boolean> {
    return (await found(this.#resolver.resolveCname(name))).length > 0;
  }

  /** TXT records that begin with a tag, their strings joined. */
  async texts(name: string, tag: string): Promise<string[]> {
    const records = await found(this.#resolver.resolveTxt(name));
    return records.map((strings) => strings.join("")).filter((text) => text.startsWith(tag));
  }

  async tlsa(name: string): Promise<TlsaRecord[]> {
    return await found(this.#resolver.resolveTlsa(name));
  }
}

async function found<T>(looking: Promise<T[]>): Promise<T[]> {
  try {
    return await looking;
  } catch (error) {
    if (nothing.has(systemCodeOf(error))) return [];
    throw error;
  }
}
