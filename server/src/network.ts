import ipaddr from "ipaddr.js";

/**
 * Canonical text of an address or a network in CIDR form, with its prefix length: `192.0.2.0/24`, `2001:db8::/32`. An
 * address is the network of itself, host bits are dropped, and an IPv4-mapped IPv6 address is the IPv4 one. `null` for
 * anything else. Never throws.
 */
export function parseNetwork(input: string): string | null {
  const [address = "", length, ...more] = input.split("/");
  if (more.length > 0 || !isAddress(address) || (length !== undefined && !/^\d{1,3}$/.test(length))) return null;
  const parsed = ipaddr.parse(address);
  const isMapped = isIPv6(parsed) && parsed.isIPv4MappedAddress();
  const given = length === undefined ? parsed.toByteArray().length * 8 : Number(length);
  const bits = isMapped ? given - 96 : given;
  const bytes = (isMapped ? parsed.toIPv4Address() : parsed).toByteArray();
  return bits < 0 || bits > bytes.length * 8 ? null : networkOf(bytes, bits);
}

/**
 * False for loopback, private, link-local, shared and other addresses that cannot come from the open internet, and for
 * what is no address. Addresses for documentation count as public.
 */
export function isPublicAddress(ip: string): boolean {
  // By far the most frequent one where nothing is to be found out.
  if (ip.startsWith("127.") || ip === "::1" || !isAddress(ip)) return false;
  const address = ipaddr.process(ip);
  return openRanges.has(address.range()) || isForDocumentation(address);
}

/** The network a client counts for where one address says little: IPv4 /24, IPv6 /64. Text that is no address stands for itself. */
export function clientNetwork(ip: string): string {
  if (!isAddress(ip)) return ip;
  const bytes = ipaddr.process(ip).toByteArray();
  return networkOf(bytes, bytes.length === 4 ? 24 : 64);
}

/** Answers of a {@link NetworkSet} that are kept; any more, and all are forgotten. */
const maxAnswers = 1_000;

/**
 * Networks to be searched for an address, which may have a zone: one look-up for each prefix length that occurs, and one in
 * all for an address that was asked for lately.
 */
export class NetworkSet {
  readonly #texts = new Set<string>();
  readonly #bits = new Set<number>();
  /** Clients come again, and to read an address costs more than the rest of a connection's admission. */
  readonly #answers = new Map<string, boolean>();

  /** Takes canonical texts. */
  constructor(texts: readonly string[]) {
    for (const text of texts) {
      this.#texts.add(text);
      this.#bits.add(Number(text.slice(text.indexOf("/") + 1)));
    }
  }

  /** Whether one of the networks holds an address, as the operating system prints it. */
  has(ip: string): boolean {
    if (this.#texts.size === 0) return false;
    const known = this.#answers.get(ip);
    if (known !== undefined) return known;
    const found = this.#search(ip);
    if (this.#answers.size >= maxAnswers) this.#answers.clear();
    this.#answers.set(ip, found);
    return found;
  }

  #search(ip: string): boolean {
    const address = ip.replace(/%.*$/, "");
    if (!isAddress(address)) return false;
    const bytes = ipaddr.process(address).toByteArray();
    for (const bits of this.#bits) {
      if (bits <= bytes.length * 8 && this.#texts.has(networkOf(bytes, bits))) return true;
    }
    return false;
  }
}

function networkOf(bytes: readonly number[], bits: number): string {
  const masked = bytes.map((byte, index) => byte & maskOf(bits - 8 * index));
  const address = ipaddr.fromByteArray(masked);
  const text = isIPv6(address) ? address.toRFC5952String() : address.toString();
  return `${text}/${bits}`;
}

/** The mask of a byte of which so many bits belong to the network. */
function maskOf(bits: number): number {
  return bits >= 8 ? 255 : bits <= 0 ? 0 : (255 << (8 - bits)) & 255;
}

/** Dotted quads with four parts, and IPv6 without a zone: ipaddr.js takes more than that. */
function isAddress(text: string): boolean {
  return (
    ipaddr.IPv4.isValidFourPartDecimal(text) || (text.includes(":") && ipaddr.IPv6.isValid(text) && !text.includes("%"))
  );
}

function isIPv6(address: ipaddr.IPv4 | ipaddr.IPv6): address is ipaddr.IPv6 {
  return address.kind() === "ipv6";
}

/**
 * The open internet as ipaddr.js names it. Anybody with an IPv4 address has a network of 6to4 too. Not NAT64, where an address
 * of ours stands before the client's, which SPF would judge.
 */
const openRanges: ReadonlySet<string> = new Set(["unicast", "6to4", "teredo"]);
const documentation = new Set(["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"]);

function isForDocumentation(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  const bytes = address.toByteArray();
  return documentation.has(networkOf(bytes, 24)) || documentation.has(networkOf(bytes, 32));
}
