import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseAddress, parseDomain } from "../src/address.ts";

const canonical: [string, string][] = [
  ["demo@mails.cat", "demo@mails.cat"],
  ["Demo@Mails.CAT", "demo@mails.cat"],
  ["demo+CI@mails.cat", "demo+ci@mails.cat"],
  ['"demo"@mails.cat', "demo@mails.cat"],
  ['"d\\emo"@mails.cat', "demo@mails.cat"],
  ['"john doe"@mails.cat', '"john doe"@mails.cat'],
  ['"a\\"b"@mails.cat', '"a\\"b"@mails.cat'],
  ['"a@b"@mails.cat', '"a@b"@mails.cat'],
  ["e\u0301@mails.cat", "\u00e9@mails.cat"],
  ["❤\ufe0f@mails.cat", "❤\ufe0f@mails.cat"],
  ["邮件@例子.测试", "邮件@xn--fsqu00a.xn--0zwm56d"],
  ["demo@[127.0.0.1]", "demo@[127.0.0.1]"],
  ["demo@[IPv6:::1]", "demo@[ipv6:::1]"],
  ["=?utf-8?q?demo?=@mails.cat", "=?utf-8?q?demo?=@mails.cat"],
];

for (const [input, text] of canonical) {
  test(`an address is kept in one canonical form: ${input}`, () => {
    assert.equal(parseAddress(input)?.text, text);
    assert.equal(parseAddress(text)?.text, text, "the canonical form parses to itself");
  });
}

const refused = [
  "",
  "demo",
  "@mails.cat",
  "demo@",
  ".demo@mails.cat",
  "de..mo@mails.cat",
  "demo @mails.cat",
  "a@b@mails.cat",
  '"demo@mails.cat',
  '"de"mo"@mails.cat',
  '""@mails.cat',
  "demo@-mails.cat",
  "demo@mails..cat",
  "demo@mails.cat.",
  "demo@mails cat",
  "demo@[300.1]",
  "de\u0000mo@mails.cat",
  "de\r\nmo@mails.cat",
  "de\u2028mo@mails.cat",
  "demo\u200b@mails.cat",
  "post\u00admaster@mails.cat",
  "\u202eomed@mails.cat",
  "demo@mai\u2060ls.cat",
  `${"a".repeat(65)}@mails.cat`,
  `a@${"b".repeat(64)}.cat`,
  `a@${"b.".repeat(130)}cat`,
];

for (const input of refused) {
  test(`what is not an address is refused: ${JSON.stringify(input.slice(0, 40))}`, () => {
    assert.equal(parseAddress(input), null);
  });
}

test("a plus-address names its mailbox and its tag", () => {
  const address = parseAddress("Demo+Sign-Up+2@mails.cat");
  assert.equal(address?.base, "demo@mails.cat");
  assert.equal(address?.tag, "sign-up+2");
});

test("an address without a tag is its own base, also when it begins with a plus", () => {
  for (const text of ["demo@mails.cat", "+demo@mails.cat"]) {
    assert.equal(parseAddress(text)?.base, text);
    assert.equal(parseAddress(text)?.tag, null);
  }
});

test("any text is either refused or brought to a form that parses to itself", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "grapheme" }), fc.emailAddress(), fc.string()), (text) => {
      const address = parseAddress(text);
      if (address !== null) assert.deepEqual(parseAddress(address.text), address);
    }),
    { numRuns: 3000 },
  );
});

test("a domain is kept in lower case A-labels", () => {
  assert.equal(parseDomain("Mails.CAT"), "mails.cat");
  assert.equal(parseDomain("例子.测试"), "xn--fsqu00a.xn--0zwm56d");
  assert.equal(parseDomain("a b"), null);
});
