import type { Token, Tokenizer, TokenHandler } from "parse5";
import { mimeLimits, type Defect } from "./defect.ts";
import { parse5 } from "./rare-decoders.ts";
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
  const reader = new HtmlReader(true);
  const text = reader.read(source);
  return reader.endsHidden ? new HtmlReader(false).read(source) : text;
}

/** Elements whose content is no text, in the mode that the tokenizer needs to find their end. */
const rawModes: ReadonlyMap<string, "RAWTEXT" | "RCDATA" | "SCRIPT_DATA"> = new Map([
  ["script", "SCRIPT_DATA"],
  ["style", "RAWTEXT"],
  ["title", "RCDATA"],
  ["textarea", "RCDATA"],
  ["xmp", "RAWTEXT"],
  ["iframe", "RAWTEXT"],
  ["noembed", "RAWTEXT"],
  ["noframes", "RAWTEXT"],
]);
const shownRaw = new Set(["textarea", "xmp"]);
const voidElements = new Set("area base br col embed hr img input link meta param source track wbr".split(" "));
const blocks = new Set(
  "address article aside body caption center dd details dialog dir div dl dt fieldset figcaption figure footer form header html legend li main menu nav noscript option section summary tbody tfoot thead tr".split(
    " ",
  ),
);
const paragraphs = new Set("blockquote h1 h2 h3 h4 h5 h6 hr ol p pre table ul xmp".split(" "));

class HtmlReader implements TokenHandler {
  readonly #tokenizer: Tokenizer;
  readonly #layout = new TextLayout();
  readonly #hides: boolean;
  /** Name of the element whose content is left out, and how many of that name are open inside of it. */
  #skipped = "";
  #skippedDepth = 0;

  constructor(hides: boolean) {
    this.#hides = hides;
    this.#tokenizer = new (parse5().Tokenizer)({}, this);
  }

  read(html: string): string {
    this.#tokenizer.write(html, true);
    return this.#layout.finish();
  }

  /** The input ended inside of an element that was left out because it is hidden. */
  get endsHidden(): boolean {
    return this.#skipped !== "" && !rawModes.has(this.#skipped);
  }

  onStartTag(token: Token.TagToken): void {
    const name = token.tagName;
    const mode = rawModes.get(name);
    if (mode !== undefined) this.#tokenizer.state = parse5().TokenizerMode[mode];
    if (this.#skipped !== "") {
      if (name === this.#skipped) this.#skippedDepth++;
      return;
    }
    if ((mode !== undefined && !shownRaw.has(name)) || this.#isHidden(token)) {
      this.#skipped = name;
      this.#skippedDepth = 1;
      return;
    }
    this.#open(name, token);
  }

  onEndTag(token: Token.TagToken): void {
    const name = token.tagName;
    if (this.#skipped === "") {
      this.#close(name);
    } else if (name === this.#skipped) {
      this.#skippedDepth--;
      if (this.#skippedDepth === 0) this.#skipped = "";
    }
  }

  onCharacter(token: Token.CharacterToken): void {
    if (this.#skipped === "") this.#layout.addText(token.chars);
  }

  onWhitespaceCharacter(token: Token.CharacterToken): void {
    if (this.#skipped === "") this.#layout.addSpace(token.chars);
  }

  onNullCharacter(): void {}
  onComment(): void {}
  onDoctype(): void {}
  onEof(): void {}

  #open(name: string, token: Token.TagToken): void {
    if (name === "br") this.#layout.breakLine();
    else if (name === "td" || name === "th") this.#layout.addSpace(" ");
    else if (name === "a") this.#layout.openLink(attribute(token, "href"));
    else this.#startBlock(name);
    if (name === "li") this.#layout.addMark("- ");
    if (name === "pre" || name === "xmp") this.#layout.openPreformatted();
  }

  #close(name: string): void {
    if (name === "a") this.#layout.closeLink();
    if (name === "pre" || name === "xmp") this.#layout.closePreformatted();
    // A browser makes a paragraph of a stray `</p>` and a line break of `</br>`.
    if (name === "br") this.#layout.breakLine();
    else if (name === "td" || name === "th") this.#layout.addSpace(" ");
    else this.#startBlock(name);
  }

  #startBlock(name: string): void {
    if (paragraphs.has(name)) this.#layout.startParagraph();
    else if (blocks.has(name)) this.#layout.startLine();
  }

  #isHidden(token: Token.TagToken): boolean {
    if (!this.#hides) return false;
    if (token.tagName === "template") return true;
    if (token.attrs.length === 0 || voidElements.has(token.tagName)) return false;
    if (attribute(token, "hidden") !== null) return true;
    const style = attribute(token, "style");
    return style !== null && /(?:^|[;\s])display\s{0,9}:\s{0,9}none/i.test(style);
  }
}

function attribute(token: Token.TagToken, name: string): string | null {
  for (const attr of token.attrs) {
    if (attr.name === name) return attr.value;
  }
  return null;
}
