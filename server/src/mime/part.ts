import type { Defect } from "./defect.ts";
import { hasName, type HeaderBlock, type HeaderField } from "./header.ts";
import { rawValue } from "./header-text.ts";
import { parameterText, parseParameters, type ParameterValue } from "./parameter.ts";
import { isIdentity } from "./transfer-encoding.ts";

/** One part of a mail: where it lies in raw, and what its header says about it. The mail itself is the first part. */
export interface Part {
  /** Lower-case `type/subtype`; `text/plain` where it is missing or unreadable (RFC 2045 section 5.2). */
  type: string;
  /** As declared; `null` when it is not. */
  readonly charset: string | null;
  /** Lower-case Content-Transfer-Encoding, "" when there is none. */
  readonly encoding: string;
  /** Lower-case Content-Disposition without parameters (RFC 2183), "" when there is none. */
  readonly disposition: string;
  /** From Content-Disposition, else from Content-Type; decoded on each access, may hold any character, also those of a path. */
  readonly filename: string | null;
  /** Whether either of them is there. */
  readonly isNamed: boolean;
  /** Without angle brackets (RFC 2392). */
  readonly contentId: string | null;
  /** `text/plain; format=flowed` (RFC 3676). */
  readonly flowed: boolean;
  readonly delSp: boolean;
  /** Content-ID of the root of a multipart/related (RFC 2387 section 3.2). */
  readonly start: string | null;
  readonly fields: readonly HeaderField[];
  readonly headerStart: number;
  readonly bodyStart: number;
  /** Without the line end that belongs to the boundary (RFC 2046 section 5.1.1). */
  bodyEnd: number;
  /** Of a multipart its parts, of an attached message the message; empty for all others. */
  readonly parts: Part[];
}

/** A part and what only the indexer needs to know of it. */
export interface OpenedPart {
  readonly part: Part;
  /** One character per octet, to be compared with raw; "" when this is not a multipart that can be taken apart. */
  readonly boundary: string;
  /** Its body is a message whose offsets can be told. */
  readonly isMessage: boolean;
}

const dash = 0x2d;
const typeName = /^[^\s()<>@,;:\\"/[\]?=]+\/[^\s()<>@,;:\\"/[\]?=]+$/;

/** Reads the MIME fields of a header block (RFC 2045, RFC 2183). `fallbackType` is what a missing Content-Type means. */
export function readPart(
  raw: Buffer,
  headerStart: number,
  block: HeaderBlock,
  context: { fallbackType: string; defects: Set<Defect> },
): OpenedPart {
  const { defects } = context;
  const named = mimeFields(raw, block.fields);
  const read = (field: HeaderField | null): string => (field === null ? "" : rawValue(raw, field, defects));
  const content = contentType(raw, named.types, defects);
  const disposition = parseParameters(read(named.disposition));
  const encoding = encodingName(read(named.encoding));
  const type = mediaType(content, context.fallbackType);
  const boundary = type.startsWith("multipart/") ? boundaryOf(content) : "";
  if (boundary === "" && type.startsWith("multipart/")) defects.add("missing_boundary");
  const contentId = withoutBrackets(read(named.id));
  const place = { fields: block.fields, headerStart, bodyStart: block.bodyStart, bodyEnd: raw.length };
  const part = new ReadPart({ type, encoding, contentId, ...place }, content, disposition);
  return { part, boundary, isMessage: isMessageType(type) && isIdentity(encoding) };
}

type PartFacts = Pick<Part, "type" | "encoding" | "contentId" | "fields" | "headerStart" | "bodyStart" | "bodyEnd">;

/** A class, because an object literal with a getter costs as much as the rest of a plain mail's header (measured). */
class ReadPart implements Part {
  type: string;
  readonly charset: string | null;
  readonly encoding: string;
  readonly disposition: string;
  readonly isNamed: boolean;
  readonly contentId: string | null;
  readonly flowed: boolean;
  readonly delSp: boolean;
  readonly start: string | null;
  readonly fields: readonly HeaderField[];
  readonly headerStart: number;
  readonly bodyStart: number;
  bodyEnd: number;
  readonly parts: Part[] = [];
  readonly #content: ParameterValue;
  readonly #disposition: ParameterValue;

  constructor(facts: PartFacts, content: ParameterValue, disposition: ParameterValue) {
    this.type = facts.type;
    this.charset = content.params.get("charset") ?? null;
    this.encoding = facts.encoding;
    this.disposition = disposition.value;
    this.isNamed = disposition.params.has("filename") || content.params.has("name");
    this.contentId = facts.contentId;
    this.flowed = content.params.get("format")?.toLowerCase() === "flowed";
    this.delSp = content.params.get("delsp")?.toLowerCase() === "yes";
    this.start = withoutBrackets(content.params.get("start") ?? "");
    this.fields = facts.fields;
    this.headerStart = facts.headerStart;
    this.bodyStart = facts.bodyStart;
    this.bodyEnd = facts.bodyEnd;
    this.#content = content;
    this.#disposition = disposition;
  }

  get filename(): string | null {
    return parameterText(this.#disposition, "filename") ?? parameterText(this.#content, "name");
  }
}

/** The fields that say what a part is: of each the first, of Content-Type all. */
interface MimeFields {
  readonly types: HeaderField[];
  disposition: HeaderField | null;
  encoding: HeaderField | null;
  id: HeaderField | null;
}

/** One walk instead of one for each name. */
function mimeFields(raw: Buffer, fields: readonly HeaderField[]): MimeFields {
  const named: MimeFields = { types: [], disposition: null, encoding: null, id: null };
  for (const field of fields) {
    // Of all four, and of few others.
    if (raw[field.nameStart + 7] !== dash) continue;
    if (hasName(raw, field, "content-type")) named.types.push(field);
    else if (hasName(raw, field, "content-transfer-encoding")) named.encoding ??= field;
    else if (hasName(raw, field, "content-disposition")) named.disposition ??= field;
    else if (hasName(raw, field, "content-id")) named.id ??= field;
  }
  return named;
}

/**
 * Of several Content-Type fields the last that has parameters: where there are two, one was added on the way, and a bare
 * type says less than what the author wrote.
 */
function contentType(raw: Buffer, types: readonly HeaderField[], defects: Set<Defect>): ParameterValue {
  let chosen = parseParameters("");
  for (const [position, field] of types.entries()) {
    const value = parseParameters(withSemicolon(rawValue(raw, field, defects)));
    if (position === 0 || value.params.size > 0) chosen = value;
  }
  if (types.length > 1) defects.add("repeated_content_type");
  return chosen;
}

/** `multipart/mixed boundary=b` has been seen in the wild. */
function withSemicolon(value: string): string {
  if (!value.includes(" ") && !value.includes("\t")) return value;
  return value.replace(/^([^\s;/]+\/[^\s;]+)[ \t]+(?=[\w-]+=)/, "$1; ");
}

/** The first word, in lower case. */
function encodingName(value: string): string {
  return value === "8bit" || value === "7bit" ? value : /^[^\s;(]*/.exec(value)![0].toLowerCase();
}

function mediaType(content: ParameterValue, fallback: string): string {
  if (content.value === "") return fallback;
  if (content.value === "text/plain") return content.value;
  if (typeName.test(content.value)) return content.value;
  return "text/plain";
}

function boundaryOf(content: ParameterValue): string {
  const boundary = content.params.get("boundary") ?? "";
  const octets = content.decoded.has("boundary") ? Buffer.from(boundary).toString("latin1") : boundary;
  return octets.trimEnd();
}

/** RFC 2046 section 5.2.1 and its counterpart for UTF-8 headers (RFC 6532 section 3.7). */
function isMessageType(type: string): boolean {
  return type === "message/rfc822" || type === "message/global";
}

function withoutBrackets(value: string): string | null {
  if (value === "") return null;
  const text = value.trim().replace(/^<|>$/g, "");
  return text === "" ? null : text;
}
