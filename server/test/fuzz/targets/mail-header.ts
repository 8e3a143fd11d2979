import assert from "node:assert/strict";
import { scanHeader } from "../../../src/mime/header.ts";
import {
  fieldAddresses,
  fieldName,
  fieldText,
  mimeLimits,
  summarizeMail,
  type Defect,
} from "../../../src/mime/mime.ts";
import { assertText, mailSeeds, type Target } from "../target.ts";

export const mailHeader: Target = {
  name: "mail-header",
  promise: "fields lie in the mail, in order and within the caps, and read as well-formed text on one line",
  seeds: mailSeeds,
  words: [
    "From: ",
    "Subject: ",
    "Received: x\r\n",
    "\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    ":",
    "=?utf-8?b?",
    "?=",
    "<a@b>",
    "--a",
  ],
  check(input) {
    const defects = new Set<Defect>();
    const { fields, bodyStart } = scanHeader(input, 0, (at) => input.toString("latin1", at, at + 3) === "--a", defects);
    assert.ok(fields.length <= mimeLimits.headerLines && bodyStart >= 0 && bodyStart <= input.length);
    let after = 0;
    for (const field of fields) {
      assert.ok(after <= field.nameStart && field.nameStart < field.nameEnd && field.nameEnd < field.valueStart);
      assert.ok(field.valueStart <= field.valueEnd && field.valueEnd <= bodyStart);
      after = field.valueEnd;
      const size = field.valueEnd - field.valueStart;
      assertText(fieldName(input, field), size + field.valueStart);
      const text = fieldText(input, field);
      assertText(text, 2 * size + 16);
      assert.doesNotMatch(text, /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
      for (const { name, address } of fieldAddresses(input, field)) {
        assertText(name, 2 * size + 16);
        assertText(address, 320);
      }
    }
    assert.ok(summarizeMail(input).received <= mimeLimits.headerLines);
  },
};
