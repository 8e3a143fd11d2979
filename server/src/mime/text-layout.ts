/** What becomes one space outside of preformatted text, but a single space itself. */
const unevenSpace = /[\t\n\f\r\u00a0]|  /;

/**
 * Lays out runs of text as a browser does: white space collapses, blocks begin lines, paragraphs are set apart by a
 * blank line. Every call costs its own input only.
 */
export class TextLayout {
  #text = "";
  /** Line ends that are due before the next text. */
  #lineEnds = 0;
  #space = false;
  #preformatted = 0;
  #href: string | null = null;
  #linkText = "";
  /** What stands in front of the next text. */
  #mark = "";

  /** Text as it stands in the source, line ends `\n` only. */
  addText(text: string): void {
    if (this.#preformatted > 0) {
      this.#putLines(text);
      return;
    }
    const start = skipSpace(text);
    if (start > 0) this.#space = true;
    if (start === text.length) return;
    const end = skipSpaceBack(text);
    const words = start === 0 && end === text.length ? text : text.slice(start, end);
    this.#put(unevenSpace.test(words) ? words.replace(/[ \t\n\f\r\u00a0]+/g, " ") : words);
    if (end < text.length) this.#space = true;
  }

  /** What stands in front of a list item, and disappears with an empty one. */
  addMark(mark: string): void {
    this.#mark = mark;
  }

  breakLine(): void {
    this.#lineEnds++;
    this.#space = false;
  }

  /** The text that follows begins a line. */
  startLine(): void {
    this.#lineEnds = Math.max(this.#lineEnds, 1);
    this.#space = false;
  }

  /** The text that follows is set apart by a blank line. */
  startParagraph(): void {
    this.#lineEnds = Math.max(this.#lineEnds, 2);
    this.#space = false;
  }

  openPreformatted(): void {
    this.#preformatted++;
  }

  closePreformatted(): void {
    this.#preformatted = Math.max(this.#preformatted - 1, 0);
  }

  openLink(href: string | null): void {
    this.closeLink();
    this.#href = href === null ? null : linkTarget(href);
  }

  closeLink(): void {
    const href = this.#href;
    this.#href = null;
    if (href !== null && !isSameTarget(this.#linkText, href)) {
      this.#space = true;
      this.#put(this.#linkText === "" ? href : `(${href})`);
    }
    this.#linkText = "";
  }

  /** All of it, without white space at the ends. */
  finish(): string {
    this.closeLink();
    return this.#text.trim().toWellFormed();
  }

  #putLines(text: string): void {
    for (const [index, line] of text.split("\n").entries()) {
      if (index > 0) this.breakLine();
      if (line !== "") this.#put(line.replaceAll("\t", "    ").replaceAll("\u00a0", " "));
    }
  }

  #put(run: string): void {
    if (this.#text === "") {
      this.#lineEnds = 0;
      this.#space = false;
    }
    if (this.#lineEnds > 0) this.#text += "\n".repeat(Math.min(this.#lineEnds, 3));
    else if (this.#space) this.#text += " ";
    if (this.#href !== null) this.#linkText += this.#space && this.#linkText !== "" ? ` ${run}` : run;
    this.#text += this.#mark + run;
    this.#mark = "";
    this.#lineEnds = 0;
    this.#space = false;
  }
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0xa0 || code === 0x09 || code === 0x0d || code === 0x0c;
}

/** How many spaces the text begins with. */
function skipSpace(text: string): number {
  let at = 0;
  while (at < text.length && isSpace(text.charCodeAt(at))) at++;
  return at;
}

/** Where the spaces begin that the text ends with; there must be something else in it. */
function skipSpaceBack(text: string): number {
  let at = text.length;
  while (isSpace(text.charCodeAt(at - 1))) at--;
  return at;
}

/** What a browser would open (the URL Standard drops line ends and tabs); `null` for all but http, https and mailto. */
function linkTarget(href: string): string | null {
  const target = href.replace(/[\t\n\r]/g, "").trim();
  return /^(?:https?:\/\/|mailto:)[^\s\u0000-\u001f]+$/i.test(target) ? target : null;
}

function isSameTarget(text: string, href: string): boolean {
  const target = withoutScheme(href);
  return text.split(" ").some((word) => withoutScheme(word) === target);
}

function withoutScheme(url: string): string {
  return url.replace(/^(?:https?:\/\/|mailto:)/i, "").replace(/\/$/, "");
}
