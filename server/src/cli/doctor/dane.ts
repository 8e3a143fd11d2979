import { createHash, type X509Certificate } from "node:crypto";

/** A TLSA record as the DNS gives it (RFC 6698 section 2.1). */
export interface Tlsa {
  certUsage: number;
  selector: number;
  match: number;
  data: ArrayBuffer;
}

/** Fields of the record to publish: usage 3 (this very key), selector 1 (the key, which renewals keep), SHA-256 (RFC 7672 section 3.1). */
export function tlsaOf(leaf: X509Certificate): string {
  return `3 1 1 ${digestOf(leaf, 1, 1).toString("hex")}`;
}

/** Does the record stand for this chain, leaf first? Usages 0 and 1 are none that mail servers use (RFC 7672 section 3.1.3). */
export function tlsaFits({ certUsage, selector, match, data }: Tlsa, chain: readonly X509Certificate[]): boolean {
  const candidates = certUsage === 3 ? chain.slice(0, 1) : certUsage === 2 ? chain : [];
  return candidates.some((certificate) => digestOf(certificate, selector, match).equals(Buffer.from(data)));
}

function digestOf(certificate: X509Certificate, selector: number, match: number): Buffer {
  const bytes = selector === 1 ? certificate.publicKey.export({ type: "spki", format: "der" }) : certificate.raw;
  if (match === 0) return bytes;
  return createHash(match === 1 ? "sha256" : "sha512")
    .update(bytes)
    .digest();
}
