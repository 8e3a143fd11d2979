import { createPublicKey, randomBytes, sign, type KeyObject } from "node:crypto";
import { bitString, der, objectId, sequence, tagged, tags } from "./der.ts";

const ecdsaWithSha256 = sequence(objectId("1.2.840.10045.4.3.2"));
const extensionRequest = objectId("1.2.840.113549.1.9.14");
const subjectAltName = objectId("2.5.29.17");
const commonName = objectId("2.5.4.3");
/** RFC 8737 section 3. */
const acmeIdentifier = objectId("1.3.6.1.5.5.7.1.31");
const isCritical = der(tags.boolean, Buffer.from([0xff]));

const hourMs = 3_600_000;

/** A certificate signing request (RFC 2986) for one DNS name, signed with this P-256 key, in DER. It names no subject: only subjectAltName counts. */
export function makeRequest(name: string, key: KeyObject): Buffer {
  const wish = sequence(extensionRequest, der(tags.set, sequence(nameExtension(name))));
  return signed(sequence(der(tags.integer, Buffer.from([0])), sequence(), publicKeyOf(key), tagged(0, wish)), key);
}

/** The self-signed certificate that proves control of a name under TLS-ALPN-01 (RFC 8737 section 3), in PEM; `digest` is SHA-256 of the key authorization. */
export function makeChallengeCertificate(name: string, digest: Buffer, key: KeyObject): string {
  const proof = sequence(acmeIdentifier, isCritical, der(tags.octetString, der(tags.octetString, digest)));
  const subject = sequence(
    der(tags.set, sequence(commonName, der(tags.utf8String, Buffer.from("ACME challenge", "latin1")))),
  );
  const nowMs = Date.now();
  // The top bit makes a number negative, and zeros at its start are not DER.
  const serial = Buffer.concat([Buffer.from([0x40]), randomBytes(15)]);
  const body = sequence(
    tagged(0, der(tags.integer, Buffer.from([2]))),
    der(tags.integer, serial),
    ecdsaWithSha256,
    subject,
    sequence(utcTime(nowMs - hourMs), utcTime(nowMs + 24 * hourMs)),
    subject,
    publicKeyOf(key),
    tagged(3, sequence(nameExtension(name), proof)),
  );
  return pemOf("CERTIFICATE", signed(body, key));
}

function nameExtension(name: string): Buffer {
  // [2]: dNSName (RFC 5280 section 4.2.1.6).
  const names = sequence(der(0x82, Buffer.from(name, "latin1")));
  return sequence(subjectAltName, der(tags.octetString, names));
}

function publicKeyOf(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: "spki", format: "der" });
}

function signed(body: Buffer, key: KeyObject): Buffer {
  return sequence(body, ecdsaWithSha256, bitString(sign("sha256", body, key)));
}

function utcTime(timeMs: number): Buffer {
  const digits = new Date(timeMs).toISOString().replace(/\D/g, "").slice(2, 14);
  return der(tags.utcTime, Buffer.from(`${digits}Z`, "latin1"));
}

function pemOf(label: string, bytes: Buffer): string {
  const lines = bytes.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
