import assert from "node:assert/strict";
import fc from "fast-check";
import { parseAddress } from "../../../src/address.ts";
import { parseCommand } from "../../../src/smtp/commands.ts";
import { replies } from "../../../src/smtp/replies.ts";
import { assertText, type Target } from "../target.ts";

const known: ReadonlySet<string> = new Set(Object.values(replies));

const verb = fc.constantFrom(
  "MAIL",
  "RCPT",
  "EHLO",
  "HELO",
  "DATA",
  "RSET",
  "NOOP",
  "QUIT",
  "VRFY",
  "HELP",
  "BDAT",
  "GET",
  "X",
);
const path = fc.constantFrom(
  "<>",
  "<a@b.example>",
  "<postmaster>",
  '<"a > b"@c.example>',
  "<@r.example,@[IPv6:::1]:a@b.example>",
  "<j\u00f6rg@b\u00fccher.example>",
  "<a@[192.0.2.1]>",
  "<a@b.example",
  "a@b.example",
);
const parameter = fc.constantFrom(" SIZE=1", " BODY=8BITMIME", " SMTPUTF8", " SIZE=", " X", " =", "  ", " BODY=7BIT");
const line = fc
  .tuple(verb, fc.constantFrom("", " ", " FROM:", " TO:", " FROM: "), path, fc.array(parameter, { maxLength: 4 }))
  .map(([name, keyword, between, parameters]) => Buffer.from(`${name}${keyword}${between}${parameters.join("")}`));

export const smtpCommands: Target = {
  name: "smtp-commands",
  promise: "a line is a command or a known refusal, in any case and with spaces after it",
  seeds: () => [
    "MAIL FROM:<a@b.example> SIZE=10 BODY=8BITMIME SMTPUTF8",
    "RCPT TO:<@r:a@b>",
    "EHLO [IPv6:::1]",
    "HELP",
  ],
  words: [
    "FROM:",
    "TO:",
    "<",
    ">",
    "@",
    ",",
    ":",
    '"',
    "\\",
    " ",
    "SIZE=",
    "BODY=",
    "SMTPUTF8",
    "[",
    "]",
    "=",
    "MAIL ",
  ],
  structured: line,
  maxBytes: 1024,
  check(input) {
    // What the line reader lets through: UTF-8 without control characters.
    const text = input.toString("utf8").replaceAll(/[\x00-\x1f\x7f]/g, "");
    const command = parseCommand(text);
    assert.deepEqual(parseCommand(`${text}  `), command, "spaces at the end say nothing");
    const end = text.indexOf(" ") === -1 ? text.length : text.indexOf(" ");
    const lower = text.slice(0, end).replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()) + text.slice(end);
    assert.deepEqual(parseCommand(lower), command, "verbs are read in any case");
    if (command.verb === "refused") assert.ok(known.has(command.reply), command.reply);
    else if (command.verb === "MAIL") {
      assert.ok(command.parameters.sizeBytes >= 0);
      checkPath(command.from.text, command.from.address?.text ?? null, text);
    } else if (command.verb === "RCPT") checkPath(command.to.text, command.to.address?.text ?? null, text);
  },
};

function checkPath(text: string, address: string | null, line: string): void {
  assertText(text, line.length);
  assert.ok(line.includes(text), "a path stands in its line");
  assert.equal(parseAddress(text)?.text ?? null, address);
}
