import { entities } from "./rare-decoders.ts";

/** What {@link HtmlScanner.next} has come to. */
export type HtmlToken = "text" | "start" | "end" | "none";

/** How the content of an element is read up to its end tag: character references decoded, as it stands, or as a script. */
export type RawKind = "rcdata" | "rawtext" | "script";

const greaterThan = 0x3e;
const slash = 0x2f;
const equals = 0x3d;

/**
 * Cuts HTML into text and tags by the tokenizer of the HTML standard (section 13.2.5), outside of SVG and MathML.
 * Comments, declarations, and a tag that the end cuts off are passed over. Its own code, because it is made of leaps
 * from one delimiter to the next: a tokenizer that goes from character to character costs several times as much, and so
 * much HTML comes in. Never throws; every character is looked at a few times at the most.
 */
export class HtmlScanner {
  /** Of the tag that was come to: in lower case. */
  name = "";
  /** Of the tag that was come to: it has the attribute `hidden`. */
  isHidden = false;
  readonly #html: string;
  #at = 0;
  #textStart = 0;
  /** Where the raw text ends that is being read; -1 outside of one. */
  #rawEnd = -1;
  #rawKind: RawKind = "rawtext";
  // Of two equal attributes the first counts, -1 is none.
  #hrefStart = -1;
  #hrefEnd = -1;
  #styleStart = -1;
  #styleEnd = -1;
  /** Where the next `&` is, to be looked for only once. */
  #nextReference = -1;

  constructor(html: string) {
    this.#html = withLineFeeds(html);
  }

  /** Goes to the next piece of text or tag. */
  next(): HtmlToken {
    const html = this.#html;
    if (this.#rawEnd >= 0) return this.#endRaw();
    for (;;) {
      const start = this.#at;
      if (start >= html.length) return "none";
      const markup = this.#findMarkup(start);
      if (markup > start) {
        this.#textStart = start;
        this.#at = markup;
        return "text";
      }
      const token = this.#readMarkup(start);
      if (token !== null) return token;
    }
  }

  /** Directly behind a start tag: what follows is its content, which only the end tag of the same name ends. */
  enterRaw(kind: RawKind): void {
    this.#rawKind = kind;
    this.#rawEnd = kind === "script" ? scriptEnd(this.#html, this.#at) : contentEnd(this.#html, this.#at, this.name);
  }

  /** The text that was come to, its character references decoded. NUL is left out where browsers do, else U+FFFD. */
  get text(): string {
    const text = this.#html.slice(this.#textStart, this.#at);
    if (this.#rawEnd >= 0) return withoutNul(this.#rawKind === "rcdata" ? decodeText(text) : text, "\ufffd");
    if (this.#nextReference < this.#textStart) {
      const found = this.#html.indexOf("&", this.#textStart);
      this.#nextReference = found < 0 ? this.#html.length : found;
    }
    return withoutNul(this.#nextReference < this.#at ? decodeText(text) : text, "");
  }

  /** The target of the tag that was come to; `null` without one. */
  get href(): string | null {
    return this.#value(this.#hrefStart, this.#hrefEnd);
  }

  /** The inline style of the tag that was come to; `null` without one. */
  get style(): string | null {
    return this.#value(this.#styleStart, this.#styleEnd);
  }

  #value(start: number, end: number): string | null {
    if (start < 0) return null;
    const value = this.#html.slice(start, end);
    return withoutNul(value.includes("&") ? entities().decodeHTMLAttribute(value) : value, "\ufffd");
  }

  #endRaw(): HtmlToken {
    if (this.#at < this.#rawEnd) {
      this.#textStart = this.#at;
      this.#at = this.#rawEnd;
      return "text";
    }
    this.#rawEnd = -1;
    return this.next();
  }

  /** The next `<` that begins something else than text, else the end. */
  #findMarkup(start: number): number {
    const html = this.#html;
    let at = html.indexOf("<", start);
    while (at >= 0 && !beginsMarkup(html, at)) at = html.indexOf("<", at + 1);
    return at < 0 ? html.length : at;
  }

  /** Reads what the `<` at `start` begins; `null` when it is no tag. */
  #readMarkup(start: number): HtmlToken | null {
    const html = this.#html;
    const code = html.charCodeAt(start + 1);
    if (isLetter(code)) return this.#readTag(start + 1) ? "start" : "none";
    if (code === slash && isLetter(html.charCodeAt(start + 2))) return this.#readTag(start + 2) ? "end" : "none";
    this.#at = html.startsWith("<!--", start) ? commentEnd(html, start + 4) : bogusEnd(html, start);
    return null;
  }

  /** Reads a tag from its name on; whether it is whole. */
  #readTag(start: number): boolean {
    const html = this.#html;
    let at = start;
    let isPlain = true;
    for (; at < html.length; at++) {
      const code = html.charCodeAt(at);
      if (code === greaterThan || code === slash || isSpace(code)) break;
      if (code <= 0x5a && (code >= 0x41 || code === 0)) isPlain = false;
    }
    const name = html.slice(start, at);
    this.name = isPlain ? name : plainName(name);
    this.isHidden = false;
    this.#hrefStart = -1;
    this.#styleStart = -1;
    this.#at = this.#readAttributes(at);
    return this.#at <= html.length;
  }

  /** Where the tag ends, past the end of the input when it does not. */
  #readAttributes(start: number): number {
    const html = this.#html;
    let at = start;
    while (at < html.length) {
      const code = html.charCodeAt(at);
      if (code === greaterThan) return at + 1;
      at = code === slash || isSpace(code) ? at + 1 : this.#readAttribute(at);
    }
    return html.length + 1;
  }

  /** Reads the attribute that begins at `start`, and says where it ends. */
  #readAttribute(start: number): number {
    const html = this.#html;
    let nameEnd = start + 1;
    while (nameEnd < html.length && !endsAttributeName(html.charCodeAt(nameEnd))) nameEnd++;
    let at = skipSpace(html, nameEnd);
    if (html.charCodeAt(at) !== equals) {
      this.#keep(start, nameEnd, at, at);
      return at;
    }
    at = skipSpace(html, at + 1);
    const code = html.charCodeAt(at);
    if (code === 0x22 || code === 0x27) {
      const end = html.indexOf(code === 0x22 ? '"' : "'", at + 1);
      if (end < 0) return html.length;
      this.#keep(start, nameEnd, at + 1, end);
      return end + 1;
    }
    const end = unquotedEnd(html, at);
    this.#keep(start, nameEnd, at, end);
    return end;
  }

  #keep(nameStart: number, nameEnd: number, start: number, end: number): void {
    const length = nameEnd - nameStart;
    if (length === 5 && this.#styleStart < 0 && hasLetters(this.#html, nameStart, "style")) {
      this.#styleStart = start;
      this.#styleEnd = end;
    } else if (length === 4 && this.#hrefStart < 0 && hasLetters(this.#html, nameStart, "href")) {
      this.#hrefStart = start;
      this.#hrefEnd = end;
    } else if (length === 6 && hasLetters(this.#html, nameStart, "hidden")) {
      this.isHidden = true;
    }
  }
}

/** Section 13.2.3.5. */
function withLineFeeds(html: string): string {
  // Half the cost of `replaceAll` (measured).
  const lines = html.replace(/\r\n/g, "\n");
  return lines.includes("\r") ? lines.replaceAll("\r", "\n") : lines;
}

/** A `<` before anything else is text, as is `</` at the end. */
function beginsMarkup(html: string, at: number): boolean {
  const code = html.charCodeAt(at + 1);
  return isLetter(code) || code === 0x21 || code === 0x3f || (code === slash && at + 2 < html.length);
}

function isLetter(code: number): boolean {
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x09 || code === 0x0c;
}

function skipSpace(html: string, start: number): number {
  let at = start;
  while (at < html.length && isSpace(html.charCodeAt(at))) at++;
  return at;
}

function endsAttributeName(code: number): boolean {
  return code === equals || code === greaterThan || code === slash || isSpace(code);
}

function unquotedEnd(html: string, start: number): number {
  let at = start;
  while (at < html.length) {
    const code = html.charCodeAt(at);
    if (code === greaterThan || isSpace(code)) break;
    at++;
  }
  return at;
}

/** Whether these letters stand there in any case; `letters` must be in lower case. */
function hasLetters(html: string, start: number, letters: string): boolean {
  for (let i = 0; i < letters.length; i++) {
    if ((html.charCodeAt(start + i) | 0x20) !== letters.charCodeAt(i)) return false;
  }
  return true;
}

/** Only ASCII has cases here: no other letter may become one of a known name. */
function plainName(name: string): string {
  return withoutNul(
    name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()),
    "\ufffd",
  );
}

function withoutNul(text: string, instead: string): string {
  return text.includes("\u0000") ? text.replaceAll("\u0000", instead) : text;
}

function decodeText(text: string): string {
  return text.includes("&") ? entities().decodeHTML(text) : text;
}

/** Where a comment ends whose content begins at `start`. */
function commentEnd(html: string, start: number): number {
  if (html.charCodeAt(start) === greaterThan) return start + 1;
  if (html.startsWith("->", start)) return start + 2;
  const end = /--!?>/g;
  end.lastIndex = start;
  return end.test(html) ? end.lastIndex : html.length;
}

/** Where a declaration ends, or what is read as a comment because it is nothing else. */
function bogusEnd(html: string, start: number): number {
  return html.indexOf(">", start + 1) + 1 || html.length;
}

/** Where the end tag of that name begins, else the end. */
function contentEnd(html: string, start: number, name: string): number {
  const end = new RegExp(`</${name}[\\t\\n\\f />]`, "gi");
  end.lastIndex = start;
  return end.exec(html)?.index ?? html.length;
}

/** The same for a script, in which a comment hides a whole `<script>…</script>` (the states "escaped" and "double escaped"). */
function scriptEnd(html: string, start: number): number {
  const marks = /<!--|-->|<\/?script[\t\n\f />]/gi;
  marks.lastIndex = start;
  let state: "script" | "escaped" | "double escaped" = "script";
  for (let mark = marks.exec(html); mark !== null; mark = marks.exec(html)) {
    const [text] = mark;
    if (text === "-->") {
      state = "script";
    } else if (text === "<!--") {
      if (state === "script") state = "escaped";
      // Its dashes may be those of `-->`.
      marks.lastIndex = mark.index + 2;
    } else if (text.charCodeAt(1) !== slash) {
      if (state === "escaped") state = "double escaped";
    } else if (state === "double escaped") {
      state = "escaped";
    } else {
      return mark.index;
    }
  }
  return html.length;
}
