import { constants } from "node:crypto";
import { createSecureContext, type SecureContext, type TLSSocketOptions } from "node:tls";
import type { Encryption } from "../encryption.ts";
import { systemCodeOf } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { Certificate } from "./certificate.ts";
import { CertificateFault } from "./certificate-fault.ts";
import { CertificateShelf } from "./certificate-shelf.ts";
import { Challenges } from "./challenges.ts";
import { readClientHello } from "./client-hello.ts";
import { findPairs, type PairFiles } from "./pair-files.ts";
import { ServerNames, type Offer } from "./server-names.ts";
import { minVersion } from "./versions.ts";

export interface CertificateOptions {
  /** A pair that has to be usable when we start. */
  pair: PairFiles | null;
  /** A directory of pairs that has to be readable when we start; its pairs may still be wrong. */
  directory: string | null;
  /** A directory of pairs that may be absent, and may come later. */
  ownDirectory: string;
  /** The name whose certificate a client gets that names none of ours. */
  defaultName: string;
  log: Logger;
  metrics: Metrics;
}

/** A change on disk is served within this and the time to read it. Looking costs two system calls for each pair. */
const lookIntervalMs = 2_000;
const dayMs = 86_400_000;
/** ACME renews 30 days before the end; what is left for this long was not renewed. */
const expiresSoonMs = 14 * dayMs;
/** And so was a certificate of a few days that has this share of them left. */
const expiresSoonShare = 1 / 4;

/**
 * The certificates of this machine as doors serve them: chosen by the name a client asks for, read again when their
 * files change. A pair that is missing or wrong after a change is served as it was, until we end, and one log line says why.
 */
export class Certificates implements Encryption, AsyncDisposable {
  readonly #options: CertificateOptions;
  readonly #shelf: CertificateShelf;
  readonly #challenges = new Challenges();
  #names: ServerNames;
  /** Made when first asked for, by the files of the certificates in it. */
  readonly #contexts = new Map<string, SecureContext>();
  readonly #warnedAtMs = new Map<string, number>();
  readonly #unreadable = new Set<string>();
  #looking: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;

  /** Reads what there is, and watches it. Rejects with {@link CertificateFault} when the pair or the directory cannot be used. */
  static async open(options: CertificateOptions): Promise<Certificates> {
    const certificates = new Certificates(options);
    await certificates.#start();
    return certificates;
  }

  private constructor(options: CertificateOptions) {
    this.#options = options;
    this.#shelf = new CertificateShelf(options.log);
    this.#names = new ServerNames([], options.defaultName);
  }

  get isReady(): boolean {
    return this.#names.default !== null;
  }

  handshakeOptions(hello: Buffer): TLSSocketOptions {
    const name = readClientHello(hello)?.serverName;
    if (name !== undefined && name !== null) return { secureContext: this.#contextOf(this.#offerFor(name)) };
    return {
      secureContext: this.#contextOf(this.#names.default ?? []),
      // For a hello that goes on in a second record. Without a name OpenSSL does not ask.
      SNICallback: (asked, done) => done(null, this.#contextOf(this.#offerFor(asked))),
    };
  }

  /**
   * Sets, or with `null` removes, the certificate that answers TLS-ALPN-01 (RFC 8737) for a name, in memory only.
   * Throws when the pair is not usable. Ordinary handshakes never get it.
   */
  setChallenge(name: string, pair: { certPem: string; keyPem: string } | null): void {
    this.#challenges.set(name, pair);
  }

  /** For a handshake that asks for a challenge which was set; `null` for any other. The connection ends after it. */
  challengeFor(hello: Buffer): TLSSocketOptions | null {
    const said = readClientHello(hello);
    return said === null ? null : this.#challenges.optionsFor(said);
  }

  /** Looks at the files now rather than within two seconds; resolves once what they hold is served. Never rejects. */
  refresh(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#look());
    return this.#looking;
  }

  /** Stops watching. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#looking;
  }

  async #start(): Promise<void> {
    const { pair, directory } = this.#options;
    if (pair !== null) await this.#shelf.put(pair);
    if (directory !== null) {
      await findPairs(directory).catch((error: unknown) => {
        throw new CertificateFault(`${directory} cannot be read (${systemCodeOf(error)}).`);
      });
    }
    await this.#look();
    let isLooking = false;
    this.#timer = setInterval(() => {
      // On a disk that does not answer, looks must not pile up.
      if (isLooking) return;
      isLooking = true;
      void this.refresh().finally(() => (isLooking = false));
    }, lookIntervalMs);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    try {
      if (await this.#shelf.look(await this.#findAll())) this.#rebuild();
      this.#warnOfExpiry();
    } catch (error) {
      this.#options.log.error({ err: error }, "Certificates could not be looked at");
    }
  }

  async #findAll(): Promise<PairFiles[]> {
    const { pair, directory, ownDirectory } = this.#options;
    const found = pair === null ? [] : [pair];
    if (directory !== null) found.push(...(await this.#find(directory)));
    found.push(...(await this.#find(ownDirectory)));
    return found;
  }

  async #find(directory: string): Promise<PairFiles[]> {
    try {
      const pairs = await findPairs(directory);
      this.#unreadable.delete(directory);
      return pairs;
    } catch (error) {
      const code = systemCodeOf(error);
      const isNoNews = code === "ENOENT" && directory === this.#options.ownDirectory;
      if (!isNoNews && !this.#unreadable.has(directory)) {
        this.#unreadable.add(directory);
        this.#options.log.error({ directory, code }, "The directory of certificates cannot be read");
      }
      return [];
    }
  }

  #rebuild(): void {
    const { defaultName, metrics } = this.#options;
    this.#names = new ServerNames(this.#shelf.certificates, defaultName);
    this.#contexts.clear();
    metrics.tlsCertificateExpiry.reset();
    for (const [name, offer] of this.#names.entries) {
      metrics.tlsCertificateExpiry.set({ name }, Math.min(...offer.map(({ expiresAtMs }) => expiresAtMs)) / 1000);
    }
  }

  #offerFor(name: string): Offer {
    return this.#names.find(name) ?? this.#names.default ?? [];
  }

  /** Of no certificate at all one that fails every handshake. */
  #contextOf(offer: Offer): SecureContext {
    const key = offer.map(({ source }) => source).join("\n");
    let context = this.#contexts.get(key);
    if (context === undefined) this.#contexts.set(key, (context = contextOf(offer)));
    return context;
  }

  /** Once a day for each certificate that somebody is still served. */
  #warnOfExpiry(): void {
    const nowMs = Date.now();
    const served = new Set(
      [...Array.from(this.#names.entries, ([, offer]) => offer), this.#names.default ?? []].flat(),
    );
    for (const { source, names, startsAtMs, expiresAtMs } of served) {
      if (nowMs - (this.#warnedAtMs.get(source) ?? 0) < dayMs) continue;
      const isEarly = nowMs < startsAtMs;
      if (!isEarly && nowMs < expiresAtMs - Math.min(expiresSoonMs, (expiresAtMs - startsAtMs) * expiresSoonShare))
        continue;
      this.#warnedAtMs.set(source, nowMs);
      const facts = { certificate: source, names, from: isoTime(startsAtMs), until: isoTime(expiresAtMs) };
      if (nowMs >= expiresAtMs) this.#options.log.error(facts, "The certificate has expired and is still served");
      else this.#options.log.warn(facts, isEarly ? "The certificate is not valid yet" : "The certificate expires soon");
    }
  }
}

function contextOf(offer: readonly Certificate[]): SecureContext {
  return createSecureContext({
    cert: offer.map(({ chainPem }) => chainPem),
    key: offer.map(({ keyPem }) => keyPem),
    minVersion,
    // A client of TLS 1.2 may not make us shake hands again and again on one connection.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_CIPHER_SERVER_PREFERENCE,
  });
}

function isoTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
