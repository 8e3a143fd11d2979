import { Tokenizer, TokenizerMode, type Token } from "parse5";
import { HtmlScanner, type RawKind } from "../../src/mime/html-scanner.ts";

/** Text, with what stands beside it joined; a start tag with what is read of its attributes; an end tag. */
export type HtmlPiece =
  | { text: string }
  | { start: string; isHidden: boolean; href: string | null; style: string | null }
  | { end: string };

const rawKinds = new Map<string, RawKind>([
  ["script", "script"],
  ["title", "rcdata"],
  ["textarea", "rcdata"],
  ["style", "rawtext"],
  ["xmp", "rawtext"],
  ["iframe", "rawtext"],
]);
const modes = { script: TokenizerMode.SCRIPT_DATA, rcdata: TokenizerMode.RCDATA, rawtext: TokenizerMode.RAWTEXT };

/** What our scanner makes of it. */
export function scannedPieces(html: string): HtmlPiece[] {
  const pieces = new Pieces();
  const scanner = new HtmlScanner(html);
  for (let token = scanner.next(); token !== "none"; token = scanner.next()) {
    const { name, isHidden } = scanner;
    if (token === "text") {
      pieces.addText(scanner.text);
    } else if (token === "end") {
      pieces.list.push({ end: name });
    } else {
      pieces.list.push({ start: name, isHidden, href: scanner.href, style: scanner.style });
      const kind = rawKinds.get(name);
      if (kind !== undefined) scanner.enterRaw(kind);
    }
  }
  return pieces.list;
}

/** What parse5 makes of it, which follows the standard to the letter. */
export function expectedPieces(html: string): HtmlPiece[] {
  const pieces = new Pieces();
  const ignored = (): void => {};
  const addText = ({ chars }: Token.CharacterToken): void => pieces.addText(chars);
  const tokenizer = new Tokenizer(
    {},
    {
      onStartTag({ tagName, attrs }) {
        const value = (name: string): string | null => attrs.find((attr) => attr.name === name)?.value ?? null;
        const isHidden = value("hidden") !== null;
        pieces.list.push({ start: tagName, isHidden, href: value("href"), style: value("style") });
        const kind = rawKinds.get(tagName);
        if (kind !== undefined) tokenizer.state = modes[kind];
      },
      onEndTag: ({ tagName }) => void pieces.list.push({ end: tagName }),
      onCharacter: addText,
      onWhitespaceCharacter: addText,
      onNullCharacter: ignored,
      onComment: ignored,
      onDoctype: ignored,
      onEof: ignored,
    },
  );
  tokenizer.write(html, true);
  return pieces.list;
}

class Pieces {
  readonly list: HtmlPiece[] = [];

  addText(text: string): void {
    const last = this.list.at(-1);
    if (last !== undefined && "text" in last) last.text += text;
    else if (text !== "") this.list.push({ text });
  }
}
