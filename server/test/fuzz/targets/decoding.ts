import assert from "node:assert/strict";
import { decodeCharset } from "../../../src/mime/charset.ts";
import { decodeTransfer } from "../../../src/mime/transfer-encoding.ts";
import { assertText, type Target } from "../target.ts";

const encodings = ["base64", "quoted-printable", "x-uuencode", "7bit", "x-nobody-knows"];
const charsets = [
  ..."utf-8 us-ascii iso-8859-1 windows-1252 gb18030 gbk big5 euc-jp shift_jis iso-2022-jp iso-2022-kr".split(" "),
  ..."euc-kr utf-7 utf-16 utf-16be utf-16le utf-32 hz-gb-2312 koi8-r x-nobody-knows cp437 macintosh".split(" "),
  "",
];

/** The first two octets choose the encoding and the charset, the others are the body. */
export const decoding: Target = {
  name: "decoding",
  promise: "any bytes in any transfer encoding and charset become well-formed text, no longer than they are",
  seeds: () =>
    charsets.flatMap((_, charset) => {
      const body = [
        "SGVsbG8=",
        "caf=C3=A9=\r\n x",
        "begin 644 a\r\n#0V%T\r\n`\r\nend\r\n",
        "+AGE-",
        "\u001b$B$3\u001b(B",
      ];
      return body.map((text, encoding) => `${String.fromCharCode(encoding, charset)}${text}`);
    }),
  words: [
    "=",
    "==",
    "=\r\n",
    "=C3",
    "begin 644 a\n",
    "end\n",
    "M",
    "`",
    "\u001b$B",
    "\u001b(B",
    "+AGE",
    "-",
    "~{",
    "\u0081\u0030",
  ],
  check(input) {
    const defects = new Set<never>();
    const encoding = encodings[(input[0] ?? 0) % encodings.length] ?? "";
    const charset = charsets[(input[1] ?? 0) % charsets.length] ?? "";
    const body = input.subarray(2);
    const bytes = decodeTransfer(body, encoding, defects);
    assert.ok(bytes.length <= body.length, "decoding makes nothing longer");
    const text = decodeCharset(bytes, charset === "" ? null : charset, defects);
    assertText(text, 2 * bytes.length + 2);
  },
};
