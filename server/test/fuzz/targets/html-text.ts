import assert from "node:assert/strict";
import { htmlToText } from "../../../src/mime/html-text.ts";
import type { Defect } from "../../../src/mime/mime.ts";
import { expectedPieces, scannedPieces } from "../../support/html-tokens.ts";
import { assertText, type Target } from "../target.ts";

export const htmlText: Target = {
  name: "html-text",
  promise:
    "HTML is cut as parse5 cuts it, and becomes well-formed text without NUL, no longer than a few times its length",
  seeds: () => [
    '<p>Hello <b>caf&eacute;</b> &amp; <a href="https://x.example/?a=1">link</a></p>',
    "<table><tr><td>a<td>b</table><ul><li>one<li>two</ul><pre>\n x </pre>",
    '<div hidden>x</div><div style="display:none">y</div><template>z</template>w',
    "<script>if (a < b) {}</script><style>p{}</style><title>t</title><textarea>a</textarea>",
    "<!DOCTYPE html><html><head><meta charset=x></head><body><!-- c -->x<br>y<hr>z</body></html>",
  ],
  words: [
    ..."<p> </p> <div hidden> </div> <a/href= </a> <li> <pre> </pre> <script> </script> <!-- --> <![CDATA[".split(" "),
    ..."]]> <td> <br> &amp; &#x &#0; &nGt; &nbsp; <template> </template> <title> <textarea> < > \" ' & = /".split(" "),
    '<a href="mailto:',
    ' style="display:none"',
    "\u00e2\u0080\u00a8",
    "\u0000",
    "\r\n",
    "\t",
    " ",
  ],
  check(input) {
    const html = input.toString("utf8");
    const defects = new Set<Defect>();
    const text = htmlToText(html, defects);
    assertText(text, 4 * html.length + 16);
    assert.ok(!text.includes("\u0000") && text === text.trimEnd() && defects.size === 0);
    assert.equal(htmlToText(html, defects), text);
    assert.deepEqual(scannedPieces(html), expectedPieces(html));
  },
};
