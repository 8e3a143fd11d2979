import type { Defect } from "./defect.ts";

const cr = 0x0d;
const lf = 0x0a;
const equals = 0x3d;
const space = 0x20;
const tab = 0x09;

/** Encodings whose bytes are taken as they are, with the misspellings seen in the wild. */
const identity = /^(?:|7-?bits?|8-?bits?|binary|none|plain)$/;

/**
 * Undoes a Content-Transfer-Encoding (RFC 2045 section 6), given in lower case. Never throws; what is not encoded as it
 * should be is kept or skipped, as readers do. An identity encoding gives a view of `bytes`, not a copy. Linear.
 */
export function decodeTransfer(bytes: Buffer, encoding: string, defects: Set<Defect>): Buffer {
  switch (encoding) {
    case "quoted-printable":
      return decodeQuotedPrintable(bytes);
    case "base64":
      return decodeBase64(bytes, defects);
    case "x-uuencode":
    case "uuencode":
    case "x-uue":
      return decodeUuencode(bytes);
    default:
      if (!identity.test(encoding)) defects.add("unknown_encoding");
      return bytes;
  }
}

/** Whether the encoding leaves the bytes as they are, so that offsets inside the part mean something. */
export function isIdentity(encoding: string): boolean {
  return identity.test(encoding);
}

/** RFC 2045 section 6.7; a bad escape is kept as it stands, white space at the end of a line is dropped. */
function decodeQuotedPrintable(bytes: Buffer): Buffer {
  const end = bytes.length;
  const out = Buffer.allocUnsafe(end);
  let length = 0;
  // Length of what cannot be the white space at the end of a line.
  let solid = 0;
  let at = 0;
  while (at < end) {
    // Nearly all of a text goes through these lines, and through a loop of their own in two thirds of the time (measured).
    let byte = 0;
    for (; at < end; at++) {
      byte = bytes[at]!;
      if (byte === equals || byte === lf) break;
      out[length++] = byte;
    }
    if (at >= end) break;
    if (byte === lf) {
      const hasCr = length > solid && out[length - 1] === cr;
      length = withoutSpace(out, solid, hasCr ? length - 1 : length);
      if (hasCr) out[length++] = cr;
      out[length++] = lf;
      at++;
    } else {
      const decoded = hexPair(bytes, at + 1);
      const next = decoded < 0 ? afterSoftBreak(bytes, at + 1) : at + 3;
      if (decoded >= 0) out[length++] = decoded;
      else if (next < 0) out[length++] = equals;
      at = next < 0 ? at + 1 : next;
    }
    solid = length;
  }
  return out.subarray(0, withoutSpace(out, solid, length));
}

/** Where the white space begins that ends at `end`, at `start` or later. */
function withoutSpace(bytes: Buffer, start: number, end: number): number {
  let at = end;
  while (at > start && (bytes[at - 1] === space || bytes[at - 1] === tab)) at--;
  return at;
}

/** Where the text goes on after a soft line break, -1 when there is none; white space before the line end is allowed. */
function afterSoftBreak(bytes: Buffer, start: number): number {
  let at = start;
  while (bytes[at] === space || bytes[at] === tab) at++;
  if (at >= bytes.length) return at;
  if (bytes[at] === lf) return at + 1;
  return bytes[at] === cr && bytes[at + 1] === lf ? at + 2 : -1;
}

function hexPair(bytes: Buffer, at: number): number {
  if (at + 1 >= bytes.length) return -1;
  const high = hexDigit(bytes[at]!);
  const low = hexDigit(bytes[at + 1]!);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/**
 * RFC 2045 section 6.8: octets outside of the alphabet are ignored, and so is what follows the padding, unless more
 * base64 begins on a later line, as from mailers that encode in pieces. What does not begin as base64 is not base64.
 */
function decodeBase64(bytes: Buffer, defects: Set<Defect>): Buffer {
  const text = bytes.toString("latin1");
  // Node's decoder also takes the URL alphabet and stops at the first padding, so it gets only what is as it should be.
  if (/^[A-Za-z0-9+/\r\n]*(?:=\s*){0,2}$/.test(text)) return Buffer.from(text, "base64");
  if (!/^\s*[A-Za-z0-9+/]{2,}(?:=|[ \t]*(?:[\r\n]|$))/.test(text)) {
    defects.add("not_base64");
    return bytes;
  }
  const inPieces = /^[A-Za-z0-9+/=\r\n]*$/.test(text) && !/=[A-Za-z0-9+/]/.test(text);
  return decodeDigits(inPieces ? bytes : bytes.subarray(0, paddingStart(bytes)));
}

function paddingStart(bytes: Buffer): number {
  const at = bytes.indexOf(equals);
  return at < 0 ? bytes.length : at;
}

/** Each padding begins a new run of digits. */
function decodeDigits(bytes: Buffer): Buffer {
  const out = Buffer.allocUnsafe(Math.ceil((bytes.length * 3) / 4));
  let length = 0;
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    if (byte === equals) held = 0;
    const digit = base64Digit(byte);
    if (digit < 0) continue;
    bits = ((bits << 6) | digit) & 0xffff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      out[length++] = (bits >> held) & 0xff;
    }
  }
  return out.subarray(0, length);
}

function base64Digit(byte: number): number {
  if (byte >= 0x41 && byte <= 0x5a) return byte - 0x41;
  if (byte >= 0x61 && byte <= 0x7a) return byte - 0x47;
  if (byte >= 0x30 && byte <= 0x39) return byte + 4;
  if (byte === 0x2b) return 62;
  return byte === 0x2f ? 63 : -1;
}

/** POSIX uuencode, historical algorithm: what stands between the lines `begin` and `end`. */
function decodeUuencode(bytes: Buffer): Buffer {
  const out = Buffer.allocUnsafe(bytes.length);
  let length = 0;
  let begun = false;
  for (const line of bytes.toString("latin1").split(/\r?\n/)) {
    if (!begun) {
      begun = /^begin [0-7]{3,4} /.test(line);
    } else if (line === "end") {
      break;
    } else if (line !== "") {
      length = decodeUuLine(line, out, length);
    }
  }
  return out.subarray(0, length);
}

function decodeUuLine(line: string, out: Buffer, start: number): number {
  // A line cannot hold more than its characters say, whatever its count claims.
  const count = Math.min(uuDigit(line, 0), Math.floor(((line.length - 1) * 3) / 4));
  for (let i = 0; i < count; i++) {
    const at = 1 + Math.floor(i / 3) * 4 + (i % 3);
    const shift = 2 * (i % 3);
    out[start + i] = ((uuDigit(line, at) << (2 + shift)) | (uuDigit(line, at + 1) >> (4 - shift))) & 0xff;
  }
  return start + count;
}

function uuDigit(line: string, at: number): number {
  return (line.charCodeAt(at) - 0x20) & 0x3f;
}
