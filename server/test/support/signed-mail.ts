import { generateKeyPairSync } from "node:crypto";
import { dkimSign, sealMessage } from "mailauth";
import type { DnsServer } from "./dns-server.ts";

const selector = "s1";

/** A domain that signs its mail, with its records in a DNS server of the test. */
export class SigningDomain {
  readonly name: string;
  readonly #privateKey: string;

  /** Publishes a fresh key, and policies where they are given. */
  constructor(dns: DnsServer, name: string, records: { spf?: string; dmarc?: string } = {}) {
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 1024 });
    this.name = name;
    this.#privateKey = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    const key = publicKey.export({ type: "spki", format: "der" }).toString("base64");
    dns.add(this.keyName, "TXT", `v=DKIM1; k=rsa; p=${key}`);
    if (records.spf !== undefined) dns.add(name, "TXT", records.spf);
    if (records.dmarc !== undefined) dns.add(`_dmarc.${name}`, "TXT", records.dmarc);
  }

  /** Where the key is published. */
  get keyName(): string {
    return `${selector}._domainkey.${this.name}`;
  }

  async sign(mail: Buffer): Promise<Buffer> {
    const key = { signingDomain: this.name, selector, privateKey: this.#privateKey };
    // Its types ask for the key itself, and the function for a list of them.
    const { signatures } = await dkimSign(mail, { ...key, signatureData: [key] });
    return Buffer.concat([Buffer.from(signatures), mail]);
  }

  /** Adds an ARC set that says what its sealer saw (RFC 8617). */
  async seal(mail: Buffer, authResults = "seal.test; dmarc=pass"): Promise<Buffer> {
    const headers = await sealMessage(mail, {
      signingDomain: this.name,
      selector,
      privateKey: this.#privateKey,
      authResults,
      cv: "none",
    });
    return Buffer.concat([headers, mail]);
  }
}

/** A mail with what signatures cover. */
export function plainMail(from: string, more = ""): Buffer {
  const header = `From: ${from}\r\nTo: you@mails.test\r\nSubject: Hello\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n`;
  return Buffer.from(`${more}${header}Message-ID: <1@${from.split("@")[1] ?? ""}>\r\n\r\nYour code is 482913\r\n`);
}
