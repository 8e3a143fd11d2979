import { mimeLimits, type Defect } from "./defect.ts";

/** Where a header field lies in raw, as byte offsets. The value still holds its folds and encoded words. */
export interface HeaderField {
  readonly nameStart: number;
  readonly nameEnd: number;
  readonly valueStart: number;
  /** Without the line end that closes the field. */
  readonly valueEnd: number;
}

/** A header block (RFC 5322 section 2.2) and where the body after it begins. */
export interface HeaderBlock {
  readonly fields: HeaderField[];
  /** First octet after the blank line; where there is none, the line end before the delimiter that cut the block off, or the end. */
  readonly bodyStart: number;
}

const cr = 0x0d;
const lf = 0x0a;
const colon = 0x3a;
const dash = 0x2d;

/**
 * Finds the fields of the header block at `start`, on CRLF and bare LF alike. `isDelimiter` tells whether a line that
 * begins with `--` ends the block, as a boundary does. One pass over the bytes; fields past the caps of
 * {@link mimeLimits} are not listed, and `defects` says so.
 */
export function scanHeader(
  raw: Uint8Array,
  start: number,
  isDelimiter: ((lineStart: number) => boolean) | null,
  defects: Set<Defect>,
): HeaderBlock {
  const scan: FieldScan = { raw, fields: [], valueStart: 0, nameStart: -1, nameEnd: 0, valueEnd: 0, defects };
  let pos = start;
  let lines = 0;
  while (pos < raw.length) {
    const first = raw[pos];
    if (first === lf) return finish(scan, pos + 1);
    if (first === cr && raw[pos + 1] === lf) return finish(scan, pos + 2);
    if (first === dash && raw[pos + 1] === dash && isDelimiter?.(pos) === true) {
      return finish(scan, pos === start ? pos : withoutCr(raw, start, pos - 1));
    }
    lines++;
    if (lines > mimeLimits.headerLines || pos - start > mimeLimits.headerBytes) {
      defects.add("header_too_long");
      pos = lineEnd(raw, pos) + 1;
    } else {
      pos = scanLine(scan, pos);
    }
  }
  return finish(scan, raw.length);
}

interface FieldScan {
  readonly raw: Uint8Array;
  readonly fields: HeaderField[];
  readonly defects: Set<Defect>;
  /** -1 while no field is open. */
  nameStart: number;
  nameEnd: number;
  valueStart: number;
  valueEnd: number;
}

function finish(scan: FieldScan, bodyStart: number): HeaderBlock {
  closeField(scan);
  return { fields: scan.fields, bodyStart };
}

function closeField(scan: FieldScan): void {
  if (scan.nameStart < 0) return;
  const { nameStart, nameEnd, valueStart, valueEnd } = scan;
  scan.fields.push({ nameStart, nameEnd, valueStart, valueEnd });
  scan.nameStart = -1;
}

/** Reads one line that is not blank; returns the start of the next. */
function scanLine(scan: FieldScan, start: number): number {
  const { raw } = scan;
  const first = raw[start];
  if (first === 0x20 || first === 0x09) {
    const end = lineEnd(raw, start);
    if (scan.nameStart < 0) scan.defects.add("malformed_header");
    else scan.valueEnd = withoutCr(raw, start, end);
    return end + 1;
  }
  closeField(scan);
  let at = start;
  while (at < raw.length && isNameByte(raw[at]!)) at++;
  let after = at;
  // RFC 5322 section 4.5: obsolete syntax allows white space before the colon.
  while (raw[after] === 0x20 || raw[after] === 0x09) after++;
  const end = lineEnd(raw, after);
  if (at === start || raw[after] !== colon) {
    scan.defects.add("malformed_header");
    return end + 1;
  }
  scan.nameStart = start;
  scan.nameEnd = at;
  scan.valueStart = after + 1;
  scan.valueEnd = withoutCr(raw, after + 1, end);
  return end + 1;
}

/** RFC 5322 section 3.6.8 ftext, and octets above ASCII, which some mailers put there. */
function isNameByte(byte: number): boolean {
  return byte > 0x20 && byte !== colon && byte !== 0x7f;
}

function lineEnd(raw: Uint8Array, start: number): number {
  let at = start;
  while (at < raw.length && raw[at] !== lf) at++;
  return at;
}

function withoutCr(raw: Uint8Array, start: number, end: number): number {
  return end > start && raw[end - 1] === cr ? end - 1 : end;
}

/** The first field of that name, which must be given in lower case; `null` when there is none. */
export function findField(raw: Uint8Array, fields: readonly HeaderField[], name: string): HeaderField | null {
  for (const field of fields) {
    if (hasName(raw, field, name)) return field;
  }
  return null;
}

/** Whether the field has that name, which must be given in lower case. */
export function hasName(raw: Uint8Array, field: HeaderField, name: string): boolean {
  if (field.nameEnd - field.nameStart !== name.length) return false;
  for (let i = 0; i < name.length; i++) {
    const byte = raw[field.nameStart + i]!;
    const lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (lower !== name.charCodeAt(i)) return false;
  }
  return true;
}

/** How many of the fields have that name, which must be given in lower case. */
export function countFields(raw: Uint8Array, fields: readonly HeaderField[], name: string): number {
  let count = 0;
  for (const field of fields) if (hasName(raw, field, name)) count++;
  return count;
}
