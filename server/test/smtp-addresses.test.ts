import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseAddress } from "../src/address.ts";
import { corpus, skipWithout } from "./support/corpora.ts";
import { SmtpClient } from "./support/smtp-client.ts";
import { MemoryIntake, openDoor } from "./support/smtp-door.ts";

interface Vectors {
  encoded_word: string[];
  other: { address: string; why: string }[];
}

function attackAddresses(): string[] {
  const folder = corpus("address-attacks");
  if (folder === null) return [];
  const vectors = JSON.parse(readFileSync(join(folder, "vectors.json"), "utf8")) as Vectors;
  return [...vectors.encoded_word, ...vectors.other.map(({ address }) => address)];
}

/** Spellings of the victim's own address: these, and no others, may reach it. */
const victimSpellings = new Set([
  "@relay.example,@two.example:victim@ours.example",
  "victim@OURS.EXAMPLE",
  "VICTIM@ours.example",
  "victim+tag@ours.example",
]);

/** What must be taken as an address at all: the mailbox does not exist, so the answer is 550 and not 501. */
const wellFormed = new Set([
  `${"a".repeat(64)}@ours.example`,
  '"victim@evil.example"@ours.example',
  '"victim@evil.example x"@ours.example',
  '"<victim@evil.example>x"@ours.example',
  "victim%evil.example@ours.example",
  "evil.example!victim@ours.example",
  "victim@[127.0.0.1]",
  "victim@[IPv6:::1]",
  "PostMaster@ours.example",
  "v.i.c.t.i.m@ours.example",
]);

for (const parameters of ["", " SMTPUTF8"]) {
  const skip = skipWithout("address-attacks");
  test(`no hostile address reaches a mailbox that is not named, MAIL${parameters}`, { skip }, async () => {
    const reached: string[] = [];
    for (const address of attackAddresses()) {
      const intake = new MemoryIntake("victim@ours.example");
      await using door = await openDoor(intake, { limits: { maxErrors: 100 } });
      await using client = await SmtpClient.ready(door.address.port);
      assert.equal((await client.command(`MAIL FROM:<>${parameters}`)).code, 250);
      await client.send(`RCPT TO:<${address}>\r\nRSET\r\nQUIT\r\n`);
      const said = await client.drained();
      if (wellFormed.has(address)) assert.match(said, /^550 5\.[17]\.1 /, address);
      if (said.startsWith("250 2.1.5")) reached.push(address);
      assert.equal(said.includes("250 2.1.5"), said.startsWith("250 2.1.5"), `injected: ${address}`);
      assert.deepEqual(intake.mails, []);
    }
    assert.deepEqual(new Set(reached), victimSpellings);
  });

  test(`no hostile sender is taken for another, MAIL${parameters}`, { skip }, async () => {
    for (const address of attackAddresses()) {
      const intake = new MemoryIntake("victim@ours.example");
      await using door = await openDoor(intake, { limits: { maxErrors: 100 } });
      await using client = await SmtpClient.ready(door.address.port);
      await client.send(`MAIL FROM:<${address}>${parameters}\r\nRCPT TO:<victim@ours.example>\r\nDATA\r\n.\r\n`);
      await client.send("QUIT\r\n");
      await client.drained();
      assert.ok(intake.mails.length <= 1);
      for (const { from } of intake.mails) {
        const plain = address.replace("@relay.example,@two.example:", "");
        assert.equal(from, parseAddress(plain)?.text ?? "", address);
      }
    }
  });
}

interface Verdict {
  address: string;
  category: string;
}

/** The corpus writes a control character as U+2400 plus its code, because XML cannot hold it. */
function isEmailTests(): Verdict[] {
  const folder = corpus("isemail");
  if (folder === null) return [];
  const xml = readFileSync(join(folder, "tests.xml"), "utf8");
  const entities: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };
  const decode = (text: string): string =>
    text
      .replaceAll(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (_, hex: string, decimal: string, name: string) =>
        name === undefined
          ? String.fromCodePoint(parseInt(hex ?? decimal, hex === undefined ? 10 : 16))
          : (entities[name] ?? ""),
      )
      .replaceAll(/[\u2400-\u241f]/g, (symbol) => String.fromCharCode(symbol.charCodeAt(0) - 0x2400));
  return Array.from(xml.matchAll(/<test id="\d+">([^]*?)<\/test>/g), ([, body = ""]) => ({
    address: decode(/<address>([^]*?)<\/address>/.exec(body)?.[1] ?? ""),
    category: /<category>(\w+)</.exec(body)?.[1] ?? "",
  }));
}

// Each is a decision, not an oversight.
const refusedOnPurpose: Record<string, string> = {
  '""@iana.org': "an empty local part names no mailbox",
};

/** Forms of RFC 5322 that RFC 5321 section 4.1.2 does not know: comments, folding, dots between quoted strings. */
const headerOnly = new Set(["ISEMAIL_CFWS", "ISEMAIL_DEPREC"]);
const mustPass = new Set(["ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN", "ISEMAIL_RFC5321"]);

// Bounds of the single parts are RFC 5321's; its bound of 256 for a whole path would add nothing that a store needs.
const takenOnPurpose: Record<string, string> = {
  "test@[IPv6:1111:2222:3333:4444:5555:6666::8888]": "a :: for one group is deprecated, not wrong (RFC 5952)",
};

test(
  "every address that isemail calls wrong is refused, and every SMTP one is taken",
  {
    skip: skipWithout("isemail"),
  },
  () => {
    const tests = isEmailTests();
    assert.equal(tests.length, 164);
    const faults: string[] = [];
    for (const { address, category } of tests) {
      const isTaken = parseAddress(address) !== null;
      if (category === "ISEMAIL_ERR" && isTaken) faults.push(`taken: ${address}`);
      if (headerOnly.has(category) && isTaken && !(address in takenOnPurpose)) faults.push(`taken: ${address}`);
      if (mustPass.has(category) && !isTaken && !(address in refusedOnPurpose)) faults.push(`refused: ${address}`);
    }
    assert.deepEqual(faults, []);
    const stale = [...Object.keys(refusedOnPurpose).filter((address) => parseAddress(address) !== null)];
    stale.push(...Object.keys(takenOnPurpose).filter((address) => parseAddress(address) === null));
    assert.deepEqual(stale, [], "the lists of decisions are true");
  },
);
