import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { createLog } from "../../src/log.ts";
import { Metrics } from "../../src/metrics.ts";
import { Certificates, type CertificateOptions } from "../../src/tls/certificates.ts";
import { CertificateMaker, writePair, type PemPair } from "./certificate-maker.ts";
import { TemporaryDirectory } from "./temporary-directory.ts";

/** A directory with an authority, places for certificates, and what a server of ours makes of them. */
export class TlsPlace implements Disposable {
  readonly maker: CertificateMaker;
  readonly metrics = new Metrics();
  /** Every line that was logged. */
  readonly lines: string[] = [];
  readonly #directory = new TemporaryDirectory();

  constructor() {
    this.maker = new CertificateMaker(this.#directory.path);
  }

  /** Path of something in this directory. */
  path(...parts: string[]): string {
    return join(this.#directory.path, ...parts);
  }

  /** Makes a certificate for these names and puts it into `live/NAME`, NAME being the first of them. */
  add(names: readonly string[], options: Parameters<CertificateMaker["make"]>[1] = {}): PemPair {
    const pair = this.maker.make(names, options);
    writePair(this.path("live", `${names[0]?.replace("*", "_")}${options.key === "rsa" ? "-rsa" : ""}`), pair);
    return pair;
  }

  /** Opens the certificates in `live`, for a server named mx.test. */
  open(options: Partial<CertificateOptions> = {}): Promise<Certificates> {
    return Certificates.open({
      pair: null,
      directory: this.path("live"),
      ownDirectory: this.path("own"),
      defaultName: "mx.test",
      log: createLog({ level: "debug", format: "json", write: (line) => this.lines.push(line) }),
      metrics: this.metrics,
      ...options,
    });
  }

  [Symbol.dispose](): void {
    this.#directory[Symbol.dispose]();
  }
}

/** Tells certificates apart. */
export function fingerprintOf(pair: PemPair): string {
  return new X509Certificate(pair.chain).fingerprint256;
}
