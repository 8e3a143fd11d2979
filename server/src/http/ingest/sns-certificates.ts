import { X509Certificate, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, Refusal } from "../../errors.ts";
import type { Logger } from "../../log.ts";

/** Gets the text of a URL. */
export type FetchText = (url: string) => Promise<string>;

export interface SnsCertificatesOptions {
  /** Directory of the operator's PEM files; `null`: certificates are fetched from SNS. */
  directory: string | null;
  fetchText: FetchText;
  log: Logger;
}

const certificateName = /^SimpleNotificationService-[0-9a-f]{32}\.pem$/;
const maxCertificates = 16;
const maxCertificateBytes = 64 * 1024;
const fetchTimeoutMs = 10_000;
const pauseAfterFailureMs = 10_000;
const retryAfterSeconds = 20;

/**
 * The certificates that SNS signs with. A post never waits for one: the first post with a new certificate is answered
 * `unavailable`, which SNS tries again, and the certificate is fetched meanwhile. What is fetched is decided by the
 * operator's topic and a name of fixed form, so no post can turn the server to another host; one fetch runs at a time, and
 * none follows a failed one for 10 s.
 */
export class SnsCertificates {
  readonly #options: SnsCertificatesOptions;
  readonly #known = new Map<string, X509Certificate>();
  #isFetching = false;
  #pauseUntilMs = 0;

  constructor(options: SnsCertificatesOptions) {
    this.#options = options;
  }

  /**
   * The public key of the certificate at `url`, which must be on `origin`, the SNS endpoint of a topic that the operator named.
   * Throws `invalid_signature` for another URL or a certificate that is over, and `unavailable` while there is none.
   */
  async keyFor(origin: string, url: string): Promise<KeyObject> {
    const name = url.startsWith(`${origin}/`) ? url.slice(origin.length + 1) : "";
    if (!certificateName.test(name)) throw new Refusal("invalid_signature");
    const certificate = this.#known.get(url) ?? (await this.#load(url, name));
    const nowMs = Date.now();
    if (nowMs < certificate.validFromDate.getTime() || nowMs > certificate.validToDate.getTime()) {
      throw new Refusal("invalid_signature");
    }
    return certificate.publicKey;
  }

  async #load(url: string, name: string): Promise<X509Certificate> {
    const { directory, log } = this.#options;
    if (directory !== null) {
      try {
        return this.#keep(url, await readFile(join(directory, name), "utf8"));
      } catch (error) {
        log.error(
          { url, directory, reason: messageOf(error) },
          "SNS signs with a certificate that is not in the directory",
        );
      }
    } else if (!this.#isFetching && Date.now() >= this.#pauseUntilMs) {
      this.#isFetching = true;
      void this.#fetch(url);
    }
    throw new Refusal("unavailable", { retryAfterSeconds });
  }

  /** Never rejects. */
  async #fetch(url: string): Promise<void> {
    const { fetchText, log } = this.#options;
    try {
      this.#keep(url, await fetchText(url));
      log.info({ url }, "Fetched a signing certificate of SNS");
    } catch (error) {
      this.#pauseUntilMs = Date.now() + pauseAfterFailureMs;
      log.error({ url, reason: messageOf(error) }, "A signing certificate of SNS could not be fetched");
    } finally {
      this.#isFetching = false;
    }
  }

  #keep(url: string, pem: string): X509Certificate {
    const certificate = new X509Certificate(pem);
    const [oldest] = this.#known.keys();
    if (this.#known.size >= maxCertificates && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(url, certificate);
    return certificate;
  }
}

/** Gets at most 64 KiB within 10 s, over HTTPS with its certificate checked, following nothing. Rejects otherwise. */
export async function fetchCertificate(url: string): Promise<string> {
  const response = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(fetchTimeoutMs) });
  if (!response.ok || response.body === null) throw new Error(`The answer was ${response.status}`);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > maxCertificateBytes) throw new Error("The answer is too long for a certificate");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("latin1");
}
