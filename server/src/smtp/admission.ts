import type { ConnectionRefusal } from "./metrics.ts";

export type Admittance = { network: string } | { refusal: Exclude<ConnectionRefusal, "stopping"> };

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

  /** Counts one connection in, to be given back by {@link leave} with the network that this returns. */
  enter(remoteAddress: string): Admittance {
    const network = networkOf(remoteAddress);
    const open = this.#byNetwork.get(network) ?? 0;
    if (open >= this.#maxPerNetwork) return { refusal: "too_many_from_address" };
    if (this.#connections >= this.#maxConnections) return { refusal: "too_many" };
    this.#connections++;
    this.#byNetwork.set(network, open + 1);
    return { network };
  }

  leave(network: string): void {
    this.#connections--;
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
  const address = remoteAddress.toLowerCase().replace(/%.*$/, "");
  if (!address.includes(":")) return address;
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
