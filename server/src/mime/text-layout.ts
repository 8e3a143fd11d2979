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

  /** Text without ASCII white space, except inside preformatted text. */
  addText(chars: string): void {
    if (this.#preformatted > 0) {
      this.#put(chars.replaceAll("\u00a0", " "));
      return;
    }
    if (!chars.includes("\u00a0")) {
      this.#put(chars);
      return;
    }
    for (const [index, word] of chars.split(/\u00a0+/).entries()) {
      if (index > 0) this.#space = true;
      if (word !== "") this.#put(word);
    }
  }

  addSpace(chars: string): void {
    if (this.#preformatted === 0) {
      this.#space = true;
      return;
    }
    for (const [index, run] of chars.replaceAll("\t", "    ").split("\n").entries()) {
      if (index > 0) this.breakLine();
      if (run !== "") this.#put(run);
    }
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
