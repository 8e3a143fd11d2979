import assert from "node:assert/strict";
import fc from "fast-check";
import { parseAddress, parseDomain } from "../../../src/address.ts";
import { assertText, type Target } from "../target.ts";

const local = fc.oneof(
  fc.constantFrom(
    "demo",
    "a.b",
    "a+tag",
    '"a b"',
    '"\\""',
    "+",
    "\u212b",
    "stra\u00dfe",
    "\u0130",
    '"a@b"',
    "\ud83d\udc31",
  ),
  fc.string({ unit: "binary", maxLength: 12 }),
);
const domain = fc.oneof(
  fc.constantFrom(
    "x.example",
    "B\u00dcCHER.example",
    "xn--bcher-kva.example",
    "[192.0.2.1]",
    "[IPv6:::1]",
    "a..b",
    "\uff0e",
  ),
  fc.string({ unit: "binary", maxLength: 12 }),
);

export const address: Target = {
  name: "address",
  promise: "an address has one canonical form, which parses to itself, within its limits",
  seeds: () => [
    "Demo+CI@Example.ORG",
    '"a b"@x.example',
    "j\u00c3\u00b6rg@b\u00c3\u00bccher.example",
    "a@[IPv6:2001:db8::1]",
  ],
  words: [
    "@",
    '"',
    "\\",
    ".",
    "+",
    "[",
    "]",
    "IPv6:",
    "xn--",
    "\u00c3\u00bc",
    "\u00e2\u0080\u00ae",
    "a",
    "-",
    "\u0000",
  ],
  structured: fc.tuple(local, domain).map(([one, other]) => Buffer.from(`${one}@${other}`)),
  maxBytes: 512,
  check(input) {
    for (const text of [input.toString("utf8"), input.toString("latin1"), input.toString("utf16le")]) {
      checkAddress(text);
      const name = parseDomain(text);
      if (name !== null) assert.equal(parseDomain(name), name);
    }
  },
};

function checkAddress(text: string): void {
  const parsed = parseAddress(text);
  if (parsed === null) return;
  assert.deepEqual(parseAddress(parsed.text), parsed, "the canonical form parses to itself");
  assertText(parsed.text, 64 * 2 + 2 + 1 + 255);
  assert.ok(Buffer.byteLength(parsed.local) <= 64 && Buffer.byteLength(parsed.domain) <= 255);
  assert.doesNotMatch(parsed.text, /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
  assert.match(parsed.domain, /^[\x21-\x7e]+$/, "a domain is ASCII");
  const base = parseAddress(parsed.base);
  assert.ok(base !== null && base.tag === null && base.text === parsed.base, "a mailbox has no tag");
}
