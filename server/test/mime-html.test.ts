import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { summarizeMail } from "../src/mime/mime.ts";

function toText(html: string): string {
  return summarizeMail(Buffer.from(`Content-Type: text/html; charset=utf-8\r\n\r\n${html}`)).content;
}

describe("HTML becomes the text that a browser would show", () => {
  const cases: [html: string, text: string][] = [
    ["<p>Your code is <strong>482913</strong></p>", "Your code is 482913"],
    ["<p>one</p><p>two</p>", "one\n\ntwo"],
    ["<div>one</div><div><div>two</div></div>", "one\ntwo"],
    ["one<br>two<br/><br>three", "one\ntwo\n\nthree"],
    ["  one \r\n two\t three  ", "one two three"],
    ["<b>bo</b>ld <i>text</i>", "bold text"],
    ["<ul><li>one<li>two</ul>after", "- one\n- two\n\nafter"],
    ["<ul><li></li><li>two</ul>", "- two"],
    ["<table><tr><th>a<th>b<tr><td>c</td><td>d</td></table>", "a b\nc d"],
    ["<h1>Title</h1>text<hr>more", "Title\n\ntext\n\nmore"],
    ["<pre>a\n  b\n\nc</pre>d", "a\n  b\n\nc\n\nd"],
    ["x&nbsp;&nbsp;y &lt;b&gt; &amp;amp; &eacute; &#x1F600; &copy", "x y <b> &amp; é 😀 ©"],
    ["a&#xD800;b&#0;c", "a\ufffdb\ufffdc"],
    ["<style>p{}</style><script>if (a<b) '</p>'</script><title>T</title>body", "body"],
    ["<script><!-- <script> </script> --></script>after", "after"],
    ["<noscript>no script</noscript><template>no</template>", "no script"],
    ["a<!-- <p>hidden</p> -->b", "ab"],
    ["<textarea>a<b>c</textarea>", "a<b>c"],
    ['<div style="color:red;DISPLAY: none !important">no<div>no</div>no</div>yes', "yes"],
    ["<span hidden>no</span>yes", "yes"],
    ["<div hidden>never closed, so <p>shown", "never closed, so\n\nshown"],
    ["<head><title>t</title></head><body>\n<p>\n hi </p>\n</body></html>", "hi"],
    ["1 < 2 and <unknown-tag>so on</unknown-tag>", "1 < 2 and so on"],
    ["日本語<br>テキスト", "日本語\nテキスト"],
  ];
  for (const [html, text] of cases) {
    test(html, () => assert.equal(toText(html), text));
  }
});

describe("links show where they lead, once, and only where a person could follow them", () => {
  const cases: [html: string, text: string][] = [
    ['<a href="https://x.example/in?t=1&amp;u=2">Sign in</a>.', "Sign in (https://x.example/in?t=1&u=2)."],
    ['<a href="https://x.example/">https://x.example</a>', "https://x.example"],
    ['<a href="https://x.example/a">Go to https://x.example/a now</a>', "Go to https://x.example/a now"],
    ['<a href="mailto:a@b.example">a@b.example</a>', "a@b.example"],
    ['<a href="https://x.example/pic"><img src="p.png"></a>', "https://x.example/pic"],
    ['see<a href="https://x.example/pic"><img src="p.png"></a>', "see https://x.example/pic"],
    ['<a href=" https://x.example/\n a\n">x</a>', "x"],
    ['<a href="https://x.example/a\nb">x</a>', "x (https://x.example/ab)"],
    ['<a href="javascript:alert(1)">x</a><a href="#top">y</a><a>z</a>', "xyz"],
    ['<a href="https://x.example">un<b>closed</b> <p>next', "unclosed\n\nnext (https://x.example)"],
    [
      '<a href="https://x.example/1">a<a href="https://x.example/2">b</a>',
      "a (https://x.example/1)b (https://x.example/2)",
    ],
  ];
  for (const [html, text] of cases) {
    test(html, () => assert.equal(toText(html), text));
  }
});
