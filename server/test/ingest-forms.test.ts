import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isRefusal } from "../src/errors.ts";
import { FormFields } from "../src/http/ingest/form-fields.ts";
import { multipart, urlEncoded, type ReadyPost } from "./support/provider-posts.ts";

const parse = ({ headers, body }: ReadyPost): FormFields => FormFields.parse(body, headers["content-type"]);
/** Any bytes, each a character, with many of those that mean something in a form. */
const bytes = fc
  .array(
    fc.oneof(
      fc.constantFrom("\r\n", "--xYzZ", "-", "%", "%4", "+", "&", "=", "\0"),
      fc.nat(255).map((one) => String.fromCharCode(one)),
    ),
  )
  .map((parts) => parts.join(""))
  .filter((text) => !text.includes("--xYzZY"));

describe("a form's fields", () => {
  for (const [what, form] of [
    ["multipart", multipart],
    ["URL-encoded", urlEncoded],
  ] as const) {
    test(`${what}: every byte of every value comes back, whatever it is`, () => {
      fc.assert(
        fc.property(bytes, bytes, (one, other) => {
          const fields = parse(form({ one, other, empty: "" }));
          assert.equal(fields.bytes("one")?.toString("latin1"), one);
          assert.equal(fields.bytes("other")?.toString("latin1"), other);
          assert.equal(fields.bytes("empty")?.length, 0);
          assert.equal(fields.bytes("none"), undefined);
        }),
        { numRuns: 300 },
      );
    });

    test(`${what}: what is cut off, altered or garbage is read or refused, never anything else`, () => {
      const whole = form({ recipient: "ann@mails.test", "body-mime": "Subject: x\r\n\r\n--xYz\r\n" });
      fc.assert(
        fc.property(fc.nat(whole.body.length), bytes, (at, garbage) => {
          const pieces = [
            whole.body.subarray(0, at),
            Buffer.from(garbage, "latin1"),
            whole.body.subarray(at + garbage.length),
          ];
          for (const body of [pieces[0], Buffer.concat(pieces), pieces[1]]) {
            try {
              parse({ ...whole, body: body ?? Buffer.alloc(0) }).bytes("recipient");
            } catch (error) {
              assert.ok(isRefusal(error, "invalid_body"));
            }
          }
        }),
        { numRuns: 500 },
      );
    });
  }

  test("a boundary may be quoted, a preamble and an epilogue are skipped, a name needs no quotes", () => {
    const body =
      "preamble\r\n--a b\r\nContent-Disposition: form-data; name=one\r\nContent-Type: text/plain\r\n\r\n1\r\n--a b--\r\nepilogue";
    const fields = FormFields.parse(Buffer.from(body), 'multipart/form-data; charset=x; boundary="a b"');
    assert.equal(fields.text("one"), "1");
  });

  for (const [what, type, body] of [
    ["no boundary", "multipart/form-data", "--x--"],
    ["no end", "multipart/form-data; boundary=x", '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'],
    ["no name", "multipart/form-data; boundary=x", "--x\r\nContent-Type: text/plain\r\n\r\n1\r\n--x--"],
    [
      "too many fields",
      "application/x-www-form-urlencoded",
      Array.from({ length: 1001 }, (_, at) => `f${at}`).join("&"),
    ],
    ["one field too often", "application/x-www-form-urlencoded", "a&".repeat(2000)],
    ["endless headers", "multipart/form-data; boundary=x", `--x\r\nA: ${"b".repeat(20_000)}\r\n\r\n1\r\n--x--`],
  ] as const) {
    test(`${what} is refused`, () => {
      assert.throws(
        () => FormFields.parse(Buffer.from(body), type),
        (error) => isRefusal(error, "invalid_body"),
      );
    });
  }
});
