/** Tags of the few ASN.1 types that requests and challenge certificates are made of (ITU-T X.690 section 8). */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectId: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One element in DER: its tag, its length, the contents in a row. Contents of up to 64 KiB. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents);
  const { length } = body;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
}

/** A row of elements, in their order. */
export function sequence(...contents: readonly Uint8Array[]): Buffer {
  return der(tags.sequence, ...contents);
}

/** An object identifier of its dotted form, such as `2.5.29.17`. */
export function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return der(tags.objectId, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

/** A bit string without unused bits. */
export function bitString(bytes: Uint8Array): Buffer {
  return der(tags.bitString, Buffer.from([0]), bytes);
}

/** `[number]` around what is in it (constructed, context-specific). */
export function tagged(number: number, ...contents: readonly Uint8Array[]): Buffer {
  return der(0xa0 | number, ...contents);
}

function base128(value: number): number[] {
  const groups = [value & 0x7f];
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) groups.unshift((rest & 0x7f) | 0x80);
  return groups;
}
