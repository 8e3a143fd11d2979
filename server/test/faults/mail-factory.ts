import { randomBytes } from "node:crypto";
import type { Random } from "../support/random.ts";

/** A mail of about so many bytes that can be told from every other by its token, which is its subject. */
export function makeMail(random: Random, token: string, bytes: number): Buffer {
  const lines = [
    `From: Sender <sender@example.org>`,
    `Subject: ${token}`,
    `MIME-Version: 1.0`,
    `Content-Type: text/plain; charset=utf-8`,
    `Content-Transfer-Encoding: 8bit`,
    ``,
    `This is ${token}.`,
  ];
  let length = lines.join("\r\n").length;
  while (length < bytes) {
    const line = makeLine(random);
    lines.push(line);
    length += line.length + 2;
  }
  return Buffer.from(`${lines.join("\r\n")}\r\n`);
}

/** Content as it goes over the wire: a dot before each leading dot (RFC 5321 section 4.5.2). */
export function stuffDots(raw: Buffer): Buffer {
  if (raw[0] !== 0x2e && !raw.includes("\n.")) return raw;
  return Buffer.from(raw.toString("latin1").replace(/^\./gm, ".."), "latin1");
}

/** A name that no other mail has. */
export function makeToken(): string {
  return `mail${randomBytes(9).toString("hex")}`;
}

// Leading dots, an empty line, text beyond ASCII: what a careless reader of DATA gets wrong.
const oddLines = [".", "..", ".hidden", "", " ", "猫のメール", "x".repeat(998), "From here on"];

function makeLine(random: Random): string {
  return random.chance(0.2) ? random.pick(oddLines) : "abcdefghij ".repeat(random.integer(1, 12));
}
