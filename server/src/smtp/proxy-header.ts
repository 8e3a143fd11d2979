import { isIPv4, isIPv6, SocketAddress } from "node:net";

/** What stands at the start of a connection that a proxy has made (PROXY protocol, versions 1 and 2). */
export type ProxyHeader =
  /** More bytes have to come before anything can be said. */
  | { kind: "unfinished" }
  | { kind: "malformed" }
  /** The proxy speaks for a client. `bytes`: length of the header. */
  | { kind: "client"; ip: string; bytes: number }
  /** LOCAL, UNKNOWN or unspecified: the proxy speaks for itself, or does not know for whom. */
  | { kind: "own"; bytes: number };

/** Longest line of version 1, its CRLF included, as its specification has it. */
const maxLineBytes = 107;
/** Longest header of version 2. It may announce 64 KiB, but what proxies send beside the addresses is far less. */
const maxBinaryBytes = 4096;
const lineStart = Buffer.from("PROXY ");
const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const fixedBytes = 16;
/** Bytes of the two addresses and ports, by address family and transport; other pairs cannot carry mail. */
const addressBytes: Readonly<Record<number, number>> = { 0x00: 0, 0x11: 12, 0x21: 36 };
const checksumType = 0x03;

const unfinished = { kind: "unfinished" } as const;
const malformed = { kind: "malformed" } as const;

/**
 * Parses the header at the start of what has come so far. Bytes behind it are not looked at, and more of them never change
 * an answer but `unfinished`, which is given for at most 4096 bytes. Never throws.
 */
export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsLike(bytes, signature)) return bytes.length < fixedBytes ? unfinished : parseBinary(bytes);
  if (startsLike(bytes, lineStart)) return parseLine(bytes);
  return malformed;
}

/** True when the bytes begin with the mark, or may still come to. */
function startsLike(bytes: Buffer, mark: Buffer): boolean {
  const length = Math.min(bytes.length, mark.length);
  return bytes.compare(mark, 0, length, 0, length) === 0;
}

function parseLine(bytes: Buffer): ProxyHeader {
  const head = bytes.toString("latin1", 0, maxLineBytes);
  const end = head.indexOf("\r\n");
  if (end === -1) return bytes.length < maxLineBytes ? unfinished : malformed;
  const line = head.slice(0, end);
  if (/^PROXY UNKNOWN(?: [\x20-\x7e]*)?$/.test(line)) return { kind: "own", bytes: end + 2 };
  const [, family, source = "", target = "", ...ports] = line.split(" ");
  const isAddress = family === "TCP4" ? isIPv4 : family === "TCP6" ? isPlainIPv6 : () => false;
  if (!isAddress(source) || !isAddress(target) || ports.length !== 2 || !ports.every(isPort)) return malformed;
  return { kind: "client", ip: family === "TCP6" ? shortIPv6(source) : source, bytes: end + 2 };
}

function isPlainIPv6(text: string): boolean {
  return isIPv6(text) && !text.includes("%");
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

function parseBinary(bytes: Buffer): ProxyHeader {
  const command = bytes.readUInt8(12);
  const family = bytes.readUInt8(13);
  const length = fixedBytes + bytes.readUInt16BE(14);
  if ((command !== 0x20 && command !== 0x21) || length > maxBinaryBytes) return malformed;
  if (bytes.length < length) return unfinished;
  const own = { kind: "own", bytes: length } as const;
  // What a LOCAL header holds beside its length is to be skipped unread.
  if (command === 0x20) return own;
  const addresses = addressBytes[family];
  if (addresses === undefined) return malformed;
  const header = bytes.subarray(0, length);
  if (length < fixedBytes + addresses || !hasGoodVectors(header, fixedBytes + addresses)) return malformed;
  return addresses === 0 ? own : { kind: "client", ip: sourceOf(header, family), bytes: length };
}

function sourceOf(header: Buffer, family: number): string {
  if (family === 0x11) return header.subarray(fixedBytes, fixedBytes + 4).join(".");
  const groups = Array.from({ length: 8 }, (_, i) => header.readUInt16BE(fixedBytes + 2 * i).toString(16));
  return shortIPv6(groups.join(":"));
}

/** The one spelling that the operating system has for it too, so that limits and lists know it again. */
function shortIPv6(address: string): string {
  return new SocketAddress({ address, family: "ipv6" }).address;
}

/** Type, length and value, up to the very end; a checksum among them has to be right. */
function hasGoodVectors(header: Buffer, start: number): boolean {
  let at = start;
  while (at < header.length) {
    if (at + 3 > header.length) return false;
    const type = header.readUInt8(at);
    const value = at + 3;
    at = value + header.readUInt16BE(at + 1);
    if (at > header.length) return false;
    if (type === checksumType && (at - value !== 4 || !hasGoodChecksum(header, value))) return false;
  }
  return true;
}

/** The checksum is made as if its own four bytes were 0. */
function hasGoodChecksum(header: Buffer, at: number): boolean {
  const blank = Buffer.from(header).fill(0, at, at + 4);
  return crc32c(blank) === header.readUInt32BE(at);
}

/** CRC-32 with the polynomial of Castagnoli (RFC 3720 section 12.1), which node:zlib does not have. */
function crc32c(bytes: Buffer): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}
