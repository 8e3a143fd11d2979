import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { systemCodeOf } from "../errors.ts";
import { CertificateFault } from "./certificate-fault.ts";
import type { PairFiles } from "./pair-files.ts";

/** A certificate that can be served: its chain and its key belong together. */
export interface Certificate {
  /** The file of the chain. */
  source: string;
  /** DNS names of its subjectAltName, lower case, wildcards as `*.example.org`. May be empty. */
  names: readonly string[];
  /** `rsa`, `ec`, `ed25519`, … */
  keyType: string;
  startsAtMs: number;
  expiresAtMs: number;
  chainPem: string;
  keyPem: string;
}

/** Reads a pair. Rejects with {@link CertificateFault} when it is not readable, not whole, or not a pair. */
export async function readCertificate({ certFile, keyFile }: PairFiles): Promise<Certificate> {
  const [chainPem, keyPem] = await Promise.all([readPem(certFile), readPem(keyFile)]);
  const leaf = parseChain(chainPem, certFile);
  const key = parseKey(keyPem, keyFile);
  if (!leaf.checkPrivateKey(key)) {
    throw new CertificateFault(`${keyFile} is not the key of the first certificate in ${certFile}.`);
  }
  try {
    createSecureContext({ cert: chainPem, key: keyPem });
  } catch (error) {
    throw new CertificateFault(`${certFile} cannot be served with ${keyFile} (${systemCodeOf(error)}).`);
  }
  return {
    source: certFile,
    names: namesOf(leaf),
    keyType: key.asymmetricKeyType ?? "",
    startsAtMs: Date.parse(leaf.validFrom),
    expiresAtMs: Date.parse(leaf.validTo),
    chainPem,
    keyPem,
  };
}

async function readPem(file: string): Promise<string> {
  try {
    return await readFile(file, "latin1");
  } catch (error) {
    throw new CertificateFault(`${file} cannot be read (${systemCodeOf(error)}).`);
  }
}

function parseChain(pem: string, file: string): X509Certificate {
  const begun = pem.match(/^-----BEGIN CERTIFICATE-----/gm)?.length ?? 0;
  const ended = pem.match(/^-----END CERTIFICATE-----/gm)?.length ?? 0;
  if (begun === 0) throw new CertificateFault(`${file} holds no certificate in PEM form.`);
  try {
    // OpenSSL takes a file that ends within a block for one that ends before it.
    if (begun === ended) return new X509Certificate(pem);
  } catch {
    // Said below.
  }
  throw new CertificateFault(`${file} is not whole: a certificate in it cannot be read to its end.`);
}

function parseKey(pem: string, file: string): KeyObject {
  if (/^-----BEGIN ENCRYPTED|^Proc-Type:.*ENCRYPTED/m.test(pem)) {
    throw new CertificateFault(`${file} is locked with a passphrase; a server has nobody to ask for it.`);
  }
  try {
    return createPrivateKey(pem);
  } catch {
    throw new CertificateFault(`${file} holds no whole private key in PEM form.`);
  }
}

function namesOf(leaf: X509Certificate): string[] {
  // Node prints a name with a comma or a quote in it as a JSON string, which no DNS name needs.
  const entries = (leaf.subjectAltName ?? "").split(", ");
  const names = entries.flatMap((entry) => /^DNS:((?:\*\.)?[\w-]+(?:\.[\w-]+)*)$/.exec(entry)?.[1] ?? []);
  return [...new Set(names.map((name) => name.toLowerCase()))];
}
