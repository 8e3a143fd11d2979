import assert from "node:assert/strict";
import { firstAddress, parseAddresses } from "../../../src/mime/address-list.ts";
import { readableText } from "../../../src/mime/header-text.ts";
import { parameterText, parseParameters } from "../../../src/mime/parameter.ts";
import { assertText, type Target } from "../target.ts";

const controls = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

export const addressFields: Target = {
  name: "address-fields",
  promise: "addresses stand in their field as they are, or are none; names are well-formed text on one line",
  seeds: () => [
    "Alice <alice@x.example>, bob@x.example",
    "Team: a@x.example, b@x.example;",
    '"a, b" <"q s"@x.example> (note)',
    "=?utf-8?q?a=40b?= <c@d.example>",
    "<@r.example:a@b.example>",
    "j\u00f6rg <j\u00c3\u00b6rg@x>",
  ],
  words: [
    "<",
    ">",
    ",",
    ";",
    ":",
    '"',
    "\\",
    "(",
    ")",
    "@",
    "a@b.example",
    "=?utf-8?q?=40?=",
    " ",
    "\u00c3\u00bc",
    "\u0000",
    "\t",
  ],
  check(input) {
    const value = input.toString("latin1");
    const listed = parseAddresses(value);
    for (const { name, address } of listed) {
      assertText(name, 2 * value.length + 16);
      assert.doesNotMatch(name, controls);
      assertText(address, 320);
      assert.doesNotMatch(address, controls);
    }
    assert.equal(firstAddress(value), listed.find(({ address }) => address !== "")?.address ?? "");
  },
};

export const headerParameters: Target = {
  name: "header-parameters",
  promise: "parameters and encoded words become well-formed text on one line",
  seeds: () => [
    'text/plain; charset="utf-8"; format=flowed',
    "attachment; filename*0*=utf-8''%e4%bd; filename*1*=%a0.txt",
    "a/b; name==?iso-8859-1?Q?=E4?=; x=1; x=2 (comment)",
    "=?utf-8?b?w6Q=?= =?utf-8?q?=C3?= =?utf-8?q?=A4?=",
  ],
  words: [
    ";",
    "=",
    '"',
    "\\",
    "(",
    ")",
    "*",
    "*0*=",
    "*1=",
    "utf-8''",
    "%",
    "%e4",
    "=?",
    "?=",
    "?q?",
    "?b?",
    "__proto__",
    " ",
  ],
  check(input) {
    const value = input.toString("latin1");
    const parsed = parseParameters(value);
    assertText(parsed.value, value.length);
    assert.equal(Object.getPrototypeOf({}), Object.prototype);
    for (const name of parsed.params.keys()) {
      const text = parameterText(parsed, name);
      assertText(text ?? "", 2 * value.length + 16);
      assert.doesNotMatch(text ?? "", controls);
    }
    const text = readableText(value);
    assertText(text, 2 * value.length + 16);
    assert.doesNotMatch(text, controls);
  },
};
