import { createSecureContext, type SecureContext, type TLSSocketOptions } from "node:tls";
import { minVersion } from "./versions.ts";

/** Protocol of a handshake that proves who controls a name (RFC 8737 section 3). */
const protocol = "acme-tls/1";
/** As a ClientHello carries it: a length, then the name. */
const offered = Buffer.from(`\x0a${protocol}`, "latin1");

/** Certificates that answer an authority's TLS-ALPN-01 (RFC 8737), by name. Ordinary clients never see them. */
export class Challenges {
  readonly #contexts = new Map<string, SecureContext>();

  /** Sets, or with `null` removes, what answers for a name. Throws when the pair is not usable. */
  set(name: string, pair: { certPem: string; keyPem: string } | null): void {
    const key = name.toLowerCase();
    if (pair === null) this.#contexts.delete(key);
    else this.#contexts.set(key, createSecureContext({ cert: pair.certPem, key: pair.keyPem, minVersion }));
  }

  get isEmpty(): boolean {
    return this.#contexts.size === 0;
  }

  /**
   * For the handshake that begins with this ClientHello; `null` when it is an ordinary one. OpenSSL picks the certificate
   * before it tells which protocols were offered, so the offer is looked for in the bytes: a hello is never encrypted.
   */
  optionsFor(hello: Buffer): TLSSocketOptions | null {
    if (this.isEmpty || !hello.includes(offered)) return null;
    return {
      ALPNProtocols: [protocol],
      // For a hello without a name: it has no certificate, so the handshake fails.
      secureContext: createSecureContext({ minVersion }),
      SNICallback: (name, done) => {
        const context = this.#contexts.get(name.toLowerCase());
        if (context === undefined) done(new Error("no challenge for this name"));
        else done(null, context);
      },
    };
  }
}
