import { BlockList, isIP, isIPv4 } from "node:net";

/** One address, or all that share the first `bits` of it. */
interface Network {
  address: string;
  bits: number;
  family: "ipv4" | "ipv6";
}

/**
 * Checks a list of addresses and networks, such as `192.0.2.7, 2001:db8::/32`, separated by commas or spaces.
 * Gives it back with `, ` between its parts, or `null` when a part is neither.
 */
export function parseNetworkList(text: string): string | null {
  const parts = split(text);
  return parts.length > 0 && parts.every((part) => parseNetwork(part) !== null) ? parts.join(", ") : null;
}

/** A set of addresses and networks, as {@link parseNetworkList} takes them. */
export class NetworkSet {
  readonly #list = new BlockList();

  /** Throws for what {@link parseNetworkList} refuses. */
  constructor(text: string) {
    for (const part of split(text)) {
      const network = parseNetwork(part);
      if (network === null) throw new Error(`not a network: ${part}`);
      this.#list.addSubnet(network.address, network.bits, network.family);
    }
  }

  /** Takes an address as the operating system prints it; an IPv4 address also in its IPv6-mapped form. */
  has(address: string): boolean {
    const plain = address.replace(/%.*$/, "");
    const family = isIP(plain);
    return family !== 0 && this.#list.check(plain, family === 4 ? "ipv4" : "ipv6");
  }
}

function split(text: string): string[] {
  return text.split(/[\s,]+/).filter((part) => part !== "");
}

function parseNetwork(text: string): Network | null {
  const [, address = "", digits] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  if (isIP(address) === 0) return null;
  const family = isIPv4(address) ? "ipv4" : "ipv6";
  const maxBits = family === "ipv4" ? 32 : 128;
  const bits = digits === undefined ? maxBits : Number(digits);
  return bits <= maxBits ? { address, bits, family } : null;
}
