import { mimeLimits, type Defect } from "./defect.ts";
import { scanHeader } from "./header.ts";
import { readPart, type Part } from "./part.ts";

const cr = 0x0d;
const lf = 0x0a;
/** What a line that begins with `--` costs to compare, in octets of a header. */
const lineCost = 4;

/** A multipart whose next boundary has not come yet. */
interface OpenMultipart {
  readonly part: Part;
  readonly boundary: string;
  /** How many parts are open when all of its own are closed. */
  readonly openParts: number;
  /** What its boundary meant before, to be found again later; `undefined` when nothing. */
  readonly shadowed: number | undefined;
  /** Boundaries of multiparts inside of it that were cut off; they still begin a part, now of this one. */
  readonly orphans: string[];
  readonly depth: Depth;
}

/** How deep a part lies; kept apart because the caps are. */
interface Depth {
  readonly multiparts: number;
  readonly messages: number;
}

interface Delimiter {
  readonly level: number;
  readonly isEnd: boolean;
  /** The boundary is of a multipart that was cut off. */
  readonly isOrphan: boolean;
  /** First octet of the delimiter line and of the line after it. */
  readonly start: number;
  readonly next: number;
}

/**
 * Takes a mail apart (RFC 2046 section 5.1): one pass over the lines that begin with `--`, compared with all boundaries
 * that are open, so that the cost does not grow with depth. A delimiter of an outer multipart ends the inner ones. The
 * caps are {@link mimeLimits}; whatever lies beyond them stays part of the body around it.
 */
export function indexParts(raw: Buffer, defects: Set<Defect>): Part {
  return new PartIndexer(raw, defects, Infinity).run();
}

/**
 * The same for a mail whose headers and lines that begin with `--` are no more than so many octets together, `null` for
 * any other. What lies between them costs next to nothing, however long it is.
 */
export function indexFewParts(raw: Buffer, defects: Set<Defect>, maxBytes: number): Part | null {
  const indexer = new PartIndexer(raw, defects, maxBytes);
  const root = indexer.run();
  return indexer.gaveUp ? null : root;
}

class PartIndexer {
  readonly #raw: Buffer;
  readonly #defects: Set<Defect>;
  readonly #multiparts: OpenMultipart[] = [];
  readonly #openParts: Part[] = [];
  readonly #levels = new Map<string, number>();
  #longestBoundary = 0;
  #count = 0;
  /** Octets that may still be looked at one by one. */
  #bytesLeft: number;

  constructor(raw: Buffer, defects: Set<Defect>, maxBytes: number) {
    this.#raw = raw;
    this.#defects = defects;
    this.#bytesLeft = maxBytes;
  }

  /** The mail holds more to be looked at than was allowed, and was not read to its end. */
  get gaveUp(): boolean {
    return this.#bytesLeft <= 0;
  }

  run(): Part {
    const root = this.#open(0, "text/plain", { multiparts: 0, messages: 0 });
    let pos = innermost(root).bodyStart;
    while (this.#multiparts.length > 0) {
      const delimiter = this.#nextDelimiter(pos);
      if (delimiter === null) {
        this.#defects.add("unclosed_multipart");
        break;
      }
      this.#closeDownTo(delimiter);
      pos = delimiter.next;
      if (delimiter.isEnd) {
        if (!delimiter.isOrphan) this.#forget(this.#multiparts.pop()!);
      } else if (pos < this.#raw.length) {
        if (this.#count >= mimeLimits.parts) {
          this.#defects.add("too_many_parts");
          break;
        }
        pos = this.#openChild(this.#multiparts[delimiter.level]!, pos);
      }
    }
    if (isBareMultipart(root)) root.type = "text/plain";
    return root;
  }

  #openChild(parent: OpenMultipart, start: number): number {
    const fallback = parent.part.type === "multipart/digest" ? "message/rfc822" : "text/plain";
    const child = this.#open(start, fallback, parent.depth);
    parent.part.parts.push(child);
    return innermost(child).bodyStart;
  }

  /** Reads the header at `start` and makes that part the innermost open one, together with a message it holds. */
  #open(start: number, fallbackType: string, depth: Depth): Part {
    this.#count++;
    const isDelimiter = this.#multiparts.length > 0 ? (at: number) => this.#matchLine(at) !== null : null;
    const mayEnd = start + this.#bytesLeft;
    const scanned = mayEnd < this.#raw.length ? this.#raw.subarray(0, mayEnd) : this.#raw;
    const block = scanHeader(scanned, start, isDelimiter, this.#defects);
    this.#bytesLeft -= block.bodyStart - start;
    const { part, boundary, isMessage } = readPart(this.#raw, start, block, { fallbackType, defects: this.#defects });
    this.#openParts.push(part);
    if (boundary !== "") this.#openMultipart(part, boundary, depth);
    else if (isMessage) this.#openMessage(part, depth);
    return part;
  }

  #openMultipart(part: Part, boundary: string, depth: Depth): void {
    if (depth.multiparts >= mimeLimits.multipartDepth) {
      this.#defects.add("too_deep");
      return;
    }
    const shadowed = this.#levels.get(boundary);
    this.#levels.set(boundary, this.#multiparts.length);
    this.#longestBoundary = Math.max(this.#longestBoundary, boundary.length);
    this.#multiparts.push({
      part,
      boundary,
      openParts: this.#openParts.length,
      shadowed,
      orphans: [],
      depth: { ...depth, multiparts: depth.multiparts + 1 },
    });
  }

  #openMessage(part: Part, depth: Depth): void {
    if (depth.messages >= mimeLimits.messageDepth) {
      this.#defects.add("too_deep_message");
    } else if (this.#count >= mimeLimits.parts) {
      this.#defects.add("too_many_parts");
    } else {
      const message = this.#open(part.bodyStart, "text/plain", { ...depth, messages: depth.messages + 1 });
      // What has no header is no message, whatever it is called.
      if (message.fields.length > 0) part.parts.push(message);
    }
  }

  #nextDelimiter(from: number): Delimiter | null {
    // The line end that closes the header may be the one in front of the first delimiter.
    let at = this.#raw.indexOf("\n--", from - 1, "latin1");
    while (at >= 0) {
      this.#bytesLeft -= lineCost;
      if (this.gaveUp) return null;
      const delimiter = this.#matchLine(at + 1);
      if (delimiter !== null) return delimiter;
      at = this.#raw.indexOf("\n--", at + 1, "latin1");
    }
    return null;
  }

  /** Compares the line that begins with `--` at `start` with the open boundaries; white space at its end does not count. */
  #matchLine(start: number): Delimiter | null {
    const raw = this.#raw;
    const found = raw.indexOf(lf, start);
    const next = found < 0 ? raw.length : found + 1;
    let end = found < 0 ? raw.length : found;
    while (end > start + 2 && isPadding(raw[end - 1]!)) end--;
    if (end === start + 2) return null;
    // Two octets more than any boundary are enough to see that a line is longer than it may be.
    const text = raw.toString("latin1", start + 2, Math.min(end, start + 5 + this.#longestBoundary));
    return this.#matchWhole(text, start, next) ?? this.#matchBeginning(text, start, next);
  }

  #matchWhole(text: string, start: number, next: number): Delimiter | null {
    const isEnd = !this.#levels.has(text) && text.endsWith("--");
    const boundary = isEnd ? text.slice(0, -2) : text;
    const level = this.#levels.get(boundary);
    if (level === undefined) return null;
    return { level, isEnd, isOrphan: this.#multiparts[level]!.boundary !== boundary, start, next };
  }

  /**
   * RFC 2046 section 5.1.2: it is enough that a line begins with the boundary. Only the innermost is looked for, and no
   * boundary of dashes, which would find every ruler.
   */
  #matchBeginning(text: string, start: number, next: number): Delimiter | null {
    const level = this.#multiparts.length - 1;
    const boundary = this.#multiparts[level]?.boundary;
    if (boundary === undefined || !text.startsWith(boundary) || /^-*$/.test(boundary)) return null;
    return { level, isEnd: text.startsWith("--", boundary.length), isOrphan: false, start, next };
  }

  #closeDownTo(delimiter: Delimiter): void {
    const outer = this.#multiparts[delimiter.level]!;
    while (this.#multiparts.length > delimiter.level + 1) {
      this.#defects.add("unclosed_multipart");
      const inner = this.#multiparts.pop()!;
      this.#forget(inner);
      for (const boundary of [inner.boundary, ...inner.orphans]) {
        if (this.#levels.has(boundary)) continue;
        this.#levels.set(boundary, delimiter.level);
        outer.orphans.push(boundary);
      }
    }
    let end = this.#beforeLineEnd(delimiter.start);
    while (this.#openParts.length > outer.openParts) {
      const part = this.#openParts.pop()!;
      // A part that begins where the delimiter does is empty, and those around it must hold it.
      end = Math.max(part.bodyStart, end);
      part.bodyEnd = end;
    }
  }

  #forget(multipart: OpenMultipart): void {
    for (const boundary of multipart.orphans) this.#levels.delete(boundary);
    if (multipart.shadowed === undefined) this.#levels.delete(multipart.boundary);
    else this.#levels.set(multipart.boundary, multipart.shadowed);
  }

  #beforeLineEnd(lineStart: number): number {
    return this.#raw[lineStart - 2] === cr ? lineStart - 2 : lineStart - 1;
  }
}

function innermost(part: Part): Part {
  let at = part;
  while (at.parts[0] !== undefined) at = at.parts[0];
  return at;
}

/** None of its boundaries was found: what it holds is better shown as it is than not at all. */
function isBareMultipart(root: Part): boolean {
  return root.parts.length === 0 && root.type.startsWith("multipart/");
}

function isPadding(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === cr;
}
