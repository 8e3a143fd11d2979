import { Refusal } from "../../errors.ts";

const maxFields = 1000;
const maxNameBytes = 1024;
/** What a field may hold that is read as a text: everything but the mail. */
const maxTextBytes = 1024 * 1024;
const maxHeaderBytes = 16 * 1024;
const lineEnd = Buffer.from("\r\n");
const headerEnd = Buffer.from("\r\n\r\n");

/**
 * The fields of a posted form, byte for byte: a raw mail is not text, so it must never go through a decoder. Takes
 * `multipart/form-data` (RFC 7578) and `application/x-www-form-urlencoded`; linear. A value is decoded when it is asked
 * for, so that a post which its signature does not prove costs next to nothing.
 */
export class FormFields {
  readonly #values: ReadonlyMap<string, readonly Buffer[]>;
  readonly #decode: (value: Buffer) => Buffer;

  private constructor(values: ReadonlyMap<string, readonly Buffer[]>, decode: (value: Buffer) => Buffer) {
    this.#values = values;
    this.#decode = decode;
  }

  /** Throws `unsupported_body` for another type and `invalid_body` for what is not of its type. */
  static parse(body: Buffer, contentType: string | undefined): FormFields {
    const type = contentType?.split(";", 1)[0]?.trim().toLowerCase();
    if (type === "application/x-www-form-urlencoded") {
      return new FormFields(parseUrlEncoded(body), decodePercent);
    }
    if (type === "multipart/form-data") {
      return new FormFields(parseMultipart(body, boundaryOf(contentType ?? "")), (value) => value);
    }
    throw new Refusal("unsupported_body");
  }

  /** The field's value. Throws `invalid_body` when it is there twice: whoever checked one must not find the other used. */
  bytes(name: string): Buffer | undefined {
    const value = this.#only(name);
    return value === undefined ? undefined : this.#decode(value);
  }

  /** The field's value as UTF-8, "" where it is missing. Throws like {@link bytes}, and for more than 1 MiB. */
  text(name: string): string {
    const value = this.#only(name);
    if (value === undefined) return "";
    if (value.byteLength > maxTextBytes) throw new Refusal("invalid_body");
    return this.#decode(value).toString("utf8");
  }

  #only(name: string): Buffer | undefined {
    const values = this.#values.get(name);
    if (values !== undefined && values.length > 1) throw new Refusal("invalid_body");
    return values?.[0];
  }
}

type Values = Map<string, Buffer[]>;

function add(values: Values, name: string, value: Buffer): void {
  const known = values.get(name);
  if (known === undefined) values.set(name, [value]);
  else known.push(value);
  if (values.size > maxFields || (known?.length ?? 0) > maxFields) throw new Refusal("invalid_body");
}

function parseUrlEncoded(body: Buffer): Values {
  const values: Values = new Map();
  let start = 0;
  while (start < body.byteLength) {
    const found = body.indexOf(0x26, start);
    const end = found < 0 ? body.byteLength : found;
    const equals = body.subarray(start, end).indexOf(0x3d);
    const nameEnd = equals < 0 ? end : start + equals;
    if (nameEnd - start > maxNameBytes) throw new Refusal("invalid_body");
    const name = decodePercent(body.subarray(start, nameEnd)).toString("utf8");
    add(values, name, body.subarray(Math.min(nameEnd + 1, end), end));
    start = end + 1;
  }
  return values;
}

/** `+` is a space, `%XX` a byte, and a `%` without two digits stands for itself (URL standard, section 5.1). */
function decodePercent(text: Buffer): Buffer {
  const out = Buffer.allocUnsafe(text.byteLength);
  let to = 0;
  for (let at = 0; at < text.byteLength; at++) {
    const byte = text[at];
    const high = byte === 0x25 ? hexDigit(text[at + 1]) : -1;
    const low = high < 0 ? -1 : hexDigit(text[at + 2]);
    if (low >= 0) at += 2;
    out[to++] = low >= 0 ? high * 16 + low : byte === 0x2b ? 0x20 : (byte ?? 0);
  }
  return out.subarray(0, to);
}

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** RFC 2046 section 5.1.1, with the longer boundaries that some senders use. */
function boundaryOf(contentType: string): string {
  const match = /;\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))/i.exec(contentType);
  const boundary = match?.[1] ?? match?.[2];
  if (boundary === undefined) throw new Refusal("invalid_body");
  return boundary;
}

function parseMultipart(body: Buffer, boundary: string): Values {
  const values: Values = new Map();
  const delimiter = Buffer.from(`\r\n--${boundary}`, "latin1");
  const opening = delimiter.subarray(lineEnd.byteLength);
  let at = body.subarray(0, opening.byteLength).equals(opening) ? opening.byteLength : after(body, delimiter, 0);
  // Two dashes after a delimiter end the form.
  while (body[at] !== 0x2d || body[at + 1] !== 0x2d) {
    const headersStart = after(body, lineEnd, at);
    const contentStart = after(body, headerEnd, headersStart - lineEnd.byteLength);
    if (contentStart - headersStart > maxHeaderBytes) throw new Refusal("invalid_body");
    const next = after(body, delimiter, contentStart - lineEnd.byteLength);
    const contentEnd = Math.max(contentStart, next - delimiter.byteLength);
    const name = fieldName(body.toString("utf8", headersStart, contentStart));
    add(values, name, body.subarray(contentStart, contentEnd));
    at = next;
  }
  return values;
}

/** Offset just past the next `what`. Throws `invalid_body` when there is none. */
function after(body: Buffer, what: Buffer, from: number): number {
  const found = body.indexOf(what, from);
  if (found < 0) throw new Refusal("invalid_body");
  return found + what.byteLength;
}

function fieldName(headers: string): string {
  const disposition = /^content-disposition:(.*)$/im.exec(headers)?.[1] ?? "";
  const name = /;\s*name=(?:"([^"\r\n]*)"|([^\s;"]+))/i.exec(disposition);
  const text = name?.[1] ?? name?.[2];
  if (text === undefined) throw new Refusal("invalid_body");
  return text;
}
