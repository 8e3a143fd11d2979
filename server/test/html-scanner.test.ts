import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { decodeText, indexMail } from "../src/mime/mime.ts";
import { corpus, mailFiles, skipWithout } from "./support/corpora.ts";
import { mutate } from "./support/hostile-mails.ts";
import { expectedPieces, scannedPieces } from "./support/html-tokens.ts";
import { Random } from "./support/random.ts";

function assertAsExpected(html: string): void {
  assert.deepEqual(scannedPieces(html), expectedPieces(html), JSON.stringify(html.slice(0, 2000)));
}

describe("HTML is cut into text and tags as the standard says, where that is easily got wrong", () => {
  const shown: [html: string, text: string][] = [
    ["<!-->shown", "shown"],
    ["<!--->shown", "shown"],
    ["<!--no--!>shown", "shown"],
    ["<!--no<!-->shown", "shown"],
    ["<!--no-- >no", ""],
    ["<!no>shown", "shown"],
    ["<?no>shown", "shown"],
    ["</ no>shown", "shown"],
    ["</>shown", "shown"],
    ["<![CDATA[no>shown]]>", "shown]]>"],
    ['<!DOCTYPE html PUBLIC "no>shown', "shown"],
    ["a < b <3 <", "a < b <3 <"],
    ["shown</", "shown</"],
    ["shown<p title='no", "shown"],
    ['<p title="no>no">shown', "shown"],
    ["<p title=\"no\"title='>'>shown", "shown"],
    ["<p =>shown", "shown"],
    ["<title>&lt;</titles></TITLE\n>&#0;\u0000&amp\u0000;", "<</titles>\ufffd&;"],
    ["<style>&lt;</style x=y>shown", "&lt;shown"],
    ["<script><!--<script></script>--></script >shown", "<!--<script></script>-->shown"],
    ["<script><!--<script></script></script>shown", "<!--<script></script>shown"],
    ["<script><!--><script></script>shown", "<!--><script>shown"],
    ["<script></scripted></script/>shown", "</scripted>shown"],
    ["&notit; &notin; &amp &ampx &#x41 &#13;", "\u00acit; \u2209 & &x A \r"],
  ];
  for (const [html, text] of shown) {
    test(html, () => {
      const texts = scannedPieces(html).map((piece) => ("text" in piece ? piece.text : ""));
      assert.equal(texts.join(""), text);
      assertAsExpected(html);
    });
  }

  test("the first of two equal attributes counts, in any case", () => {
    const html = `<A HREF=a&ampb&amp=c href=no STYLE="x&quot;\u0000" hidden=no\u212A style>`;
    assert.deepEqual(scannedPieces(html), [{ start: "a", isHidden: true, href: "a&ampb&amp=c", style: 'x"\ufffd' }]);
    assertAsExpected(html);
  });

  test("no other letter becomes one of a known name", () => {
    assert.deepEqual(scannedPieces("<lin\u212A></LIN\u212A\u0000>").map(Object.values), [
      ["lin\u212A", false, null, null],
      ["lin\u212A\ufffd"],
    ]);
  });
});

const words = [
  ...`< > </ <! <!- <!-- --> --!> <!--> - ! ? / = " ' & ; a b x <p> </p> <P <div\u00a0hidden> <b/hidden=x </div> <a\u00a0href=`.split(
    " ",
  ),
  ...`'http://y' <a/href='x&amp;y' a&ampb </a> </textarea/ </TEXTAREA\u00a0x="> <script> </script> <SCRIPT </Script/`.split(
    " ",
  ),
  ..."<script <!--<script> </script <style> </style> <title> </title> <xmp> </xmp> &amp; &amp &nbsp; &nbsp &#x &#0; &#13;".split(
    " ",
  ),
  ..."&#xD800; &nGt; &notit; &Tab; &lt HREF style= style='display&colon;none' HIDDEN <!DOCTYPE <?xml <![CDATA[ ]]>".split(
    " ",
  ),
  ..."\u0000 \u00a0 \u00e9 \u{1f600} \ud800 \u212a \u017f".split(" "),
  ..." |\t|\n|\f|\r|\r\n".split("|"),
].map((word) => word.replaceAll("\u00a0", " "));

test("any run of pieces of HTML is cut as parse5 cuts it", () => {
  const html = fc.array(fc.oneof(fc.constantFrom(...words), fc.string({ unit: "binary", maxLength: 3 })));
  fc.assert(
    fc.property(html, (pieces) => assertAsExpected(pieces.join(""))),
    { numRuns: 20_000 },
  );
});

test("HTML of every corpus, also with random wounds, is cut as parse5 cuts it", (t) => {
  const parts = mailFiles().flatMap((file) => {
    const raw = readFileSync(file);
    return indexMail(raw)
      .html.filter(({ type }) => type === "text/html")
      .map((part) => decodeText(raw, part));
  });
  if (parts.length === 0) return t.skip("no corpus is on this machine");
  const random = new Random(3);
  for (const html of parts) {
    assertAsExpected(html);
    for (let i = 0; i < 5; i++) {
      const wounded = mutate(Buffer.from(html.slice(0, 20_000), "utf8"), random, words);
      assertAsExpected(wounded.toString(i % 2 === 0 ? "utf8" : "latin1"));
    }
  }
  t.diagnostic(`${parts.length} parts`);
});

test("what sanitisers are attacked with is cut as parse5 cuts it", { skip: skipWithout("dompurify") }, (t) => {
  const attacks = JSON.parse(readFileSync(`${corpus("dompurify")}/expect.json`, "utf8")) as { payload: string }[];
  for (const { payload } of attacks) assertAsExpected(payload);
  t.diagnostic(`${attacks.length} payloads`);
});
