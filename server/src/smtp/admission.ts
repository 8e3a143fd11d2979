export type Admittance =
  /** `null`: counted by no network. */
  { network: string | null } | { refusal: "too_many" | "too_many_from_address" };

/** Counts open connections, all together and by network, and refuses what is over a limit. */
export class Admission {
  readonly #maxConnections: number;
  readonly #maxPerNetwork: number;
  readonly #byNetwork = new Map<string, number>();
  #connections = 0;

  constructor(maxConnections: number, maxPerNetwork: number) {
    this.#maxConnections = maxConnections;
    this.#maxPerNetwork = maxPerNetwork;
  }

  /**
   * Counts one connection in, to be given back by {@link leave} with the network that this returns. `null`: whose it is
   * is not known yet, or does not matter; it counts towards the limit of all.
   */
  enter(remoteAddress: string | null): Admittance {
    const network = remoteAddress === null ? null : networkOf(remoteAddress);
    const open = network === null ? 0 : (this.#byNetwork.get(network) ?? 0);
    if (network !== null && open >= this.#maxPerNetwork) return { refusal: "too_many_from_address" };
    if (this.#connections >= this.#maxConnections) return { refusal: "too_many" };
    this.#connections++;
    if (network !== null) this.#byNetwork.set(network, open + 1);
    return { network };
  }

  leave(network: string | null): void {
    this.#connections--;
    if (network === null) return;
    const open = (this.#byNetwork.get(network) ?? 1) - 1;
    if (open === 0) this.#byNetwork.delete(network);
    else this.#byNetwork.set(network, open);
  }
}

/**
 * What one client can be held to: an IPv4 address, also in its IPv6-mapped form, or an IPv6 /64, because that is what
 * a single host is given. Takes addresses as the operating system prints them.
 */
export function networkOf(remoteAddress: string): string {
  if (!remoteAddress.includes(":")) return remoteAddress;
  const address = remoteAddress.toLowerCase().replace(/%.*$/, "");
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [head = "", tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const after = tail === "" ? [] : tail.split(":");
    // A dotted quad at the end stands for two groups.
    const afterCount = after.length + (tail.includes(".") ? 1 : 0);
    while (groups.length < 8 - afterCount) groups.push("0");
    groups.push(...after);
  }
  return `${groups.slice(0, 4).join(":")}::/64`;
}
