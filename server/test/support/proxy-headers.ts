import { isIPv4 } from "node:net";

const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");

/** A header of version 2 around anything; the length is right unless it is given. */
export function binaryHeader(header: { command?: number; family: number; rest: Buffer; length?: number }): Buffer {
  const fixed = Buffer.alloc(4);
  fixed.writeUInt8(header.command ?? 0x21, 0);
  fixed.writeUInt8(header.family, 1);
  fixed.writeUInt16BE(header.length ?? header.rest.length, 2);
  return Buffer.concat([signature, fixed, header.rest]);
}

/** The addresses and ports of a connection over TCP, as version 2 has them. */
export function binaryAddresses(source: string, target: string): Buffer {
  const ports = Buffer.from([0x30, 0x39, 0, 25]);
  return Buffer.concat([octetsOf(source), octetsOf(target), ports]);
}

/** One vector of type, length and value. */
export function vector(type: number, value: Buffer): Buffer {
  const head = Buffer.alloc(3);
  head.writeUInt8(type, 0);
  head.writeUInt16BE(value.length, 1);
  return Buffer.concat([head, value]);
}

/** As a proxy sends it for a client; IPv6 addresses are written in full. */
export function clientHeader(version: 1 | 2, ip: string, vectors: Buffer = Buffer.alloc(0)): Buffer {
  const isV4 = isIPv4(ip);
  const target = isV4 ? "198.51.100.1" : "2001:0db8:0000:0000:0000:0000:0000:0099";
  if (version === 1) return Buffer.from(`PROXY ${isV4 ? "TCP4" : "TCP6"} ${ip} ${target} 12345 25\r\n`);
  const rest = Buffer.concat([binaryAddresses(ip, target), vectors]);
  return binaryHeader({ family: isV4 ? 0x11 : 0x21, rest });
}

function octetsOf(ip: string): Buffer {
  return isIPv4(ip) ? Buffer.from(ip.split(".").map(Number)) : Buffer.from(ip.replaceAll(":", ""), "hex");
}
