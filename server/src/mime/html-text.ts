import { mimeLimits, type Defect } from "./defect.ts";
import { HtmlScanner, type RawKind } from "./html-scanner.ts";
import { TextLayout } from "./text-layout.ts";

/**
 * HTML as the text that a browser would show: blocks on lines of their own, list items behind `- `, cells separated by
 * a space, white space collapsed except in `<pre>`, entities decoded, scripts, styles and hidden elements left out. The
 * target of an http, https or mailto link follows its text in brackets, unless the text is that target already.
 *
 * Hidden is a `<template>` and what has the attribute `hidden` or an inline `display:none`; a hidden element that is
 * never closed hides nothing, for it is better to show too much of a broken mail than nothing. Never throws. Linear: a
 * tokenizer, no tree; what follows the first `mimeLimits.htmlChars` characters is left out, with a defect.
 */
export function htmlToText(html: string, defects: Set<Defect>): string {
  let source = html;
  if (source.length > mimeLimits.htmlChars) {
    source = source.slice(0, mimeLimits.htmlChars);
    defects.add("html_too_long");
  }
  const reader = new HtmlReader(source, true);
  const text = reader.read();
  return reader.endsHidden ? new HtmlReader(source, false).read() : text;
}

/** Elements whose content is text only, and how that is read. */
const rawKinds: ReadonlyMap<string, RawKind> = new Map([
  ["script", "script"],
  ["style", "rawtext"],
  ["title", "rcdata"],
  ["textarea", "rcdata"],
  ["xmp", "rawtext"],
  ["iframe", "rawtext"],
  ["noembed", "rawtext"],
  ["noframes", "rawtext"],
]);
const shownRaw = new Set(["textarea", "xmp"]);
const voidElements = new Set("area base br col embed hr img input link meta param source track wbr".split(" "));

/** What a tag does to the text around it. */
type Place = "line" | "paragraph" | "break" | "cell" | "link";

const places: ReadonlyMap<string, Place> = new Map([
  ...placed(
    "line",
    "address article aside body caption center dd details dialog dir div dl dt fieldset figcaption figure footer form header html legend li main menu nav noscript option section summary tbody tfoot thead tr",
  ),
  ...placed("paragraph", "blockquote h1 h2 h3 h4 h5 h6 hr ol p pre table ul xmp"),
  ...placed("break", "br"),
  ...placed("cell", "td th"),
  ...placed("link", "a"),
]);

function placed(place: Place, names: string): [string, Place][] {
  return names.split(" ").map((name) => [name, place]);
}

class HtmlReader {
  readonly #scanner: HtmlScanner;
  readonly #layout = new TextLayout();
  readonly #hides: boolean;
  /** Name of the element whose content is left out, and how many of that name are open inside of it. */
  #skipped = "";
  #skippedDepth = 0;

  constructor(html: string, hides: boolean) {
    this.#scanner = new HtmlScanner(html);
    this.#hides = hides;
  }

  read(): string {
    const scanner = this.#scanner;
    for (let token = scanner.next(); token !== "none"; token = scanner.next()) {
      if (token === "start") this.#start(scanner.name);
      else if (token === "end") this.#end(scanner.name);
      else if (this.#skipped === "") this.#layout.addText(scanner.text);
    }
    return this.#layout.finish();
  }

  /** The input ended inside of an element that was left out because it is hidden. */
  get endsHidden(): boolean {
    return this.#skipped !== "" && !rawKinds.has(this.#skipped);
  }

  #start(name: string): void {
    const rawKind = rawKinds.get(name);
    if (rawKind !== undefined) this.#scanner.enterRaw(rawKind);
    if (this.#skipped !== "") {
      if (name === this.#skipped) this.#skippedDepth++;
    } else if ((rawKind !== undefined && !shownRaw.has(name)) || this.#isHidden(name)) {
      this.#skipped = name;
      this.#skippedDepth = 1;
    } else {
      this.#open(name);
    }
  }

  #end(name: string): void {
    if (this.#skipped === "") {
      this.#close(name);
    } else if (name === this.#skipped) {
      this.#skippedDepth--;
      if (this.#skippedDepth === 0) this.#skipped = "";
    }
  }

  #open(name: string): void {
    const place = places.get(name);
    if (place === "link") this.#layout.openLink(this.#scanner.href);
    else if (place !== undefined) this.#put(place);
    if (name === "li") this.#layout.addMark("- ");
    else if (name === "pre" || name === "xmp") this.#layout.openPreformatted();
  }

  #close(name: string): void {
    const place = places.get(name);
    if (name === "pre" || name === "xmp") this.#layout.closePreformatted();
    if (place === "link") this.#layout.closeLink();
    // A browser makes a paragraph of a stray `</p>` and a line break of `</br>`.
    else if (place !== undefined) this.#put(place);
  }

  #put(place: Exclude<Place, "link">): void {
    if (place === "line") this.#layout.startLine();
    else if (place === "paragraph") this.#layout.startParagraph();
    else if (place === "break") this.#layout.breakLine();
    else this.#layout.addText(" ");
  }

  #isHidden(name: string): boolean {
    if (!this.#hides) return false;
    if (name === "template") return true;
    const { isHidden, style } = this.#scanner;
    return (isHidden || (style !== null && hidesByStyle(style))) && !voidElements.has(name);
  }
}

function hidesByStyle(style: string): boolean {
  // The first look is for one word, which few styles have, and costs a tenth of the second.
  return /none/i.test(style) && /(?:^|[;\s])display\s{0,9}:\s{0,9}none/i.test(style);
}
