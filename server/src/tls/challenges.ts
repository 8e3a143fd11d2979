import { createSecureContext, type SecureContext, type TLSSocketOptions } from "node:tls";
import type { ClientHello } from "./client-hello.ts";
import { minVersion } from "./versions.ts";

/** Protocol of a handshake that proves who controls a name (RFC 8737 section 3). */
const protocol = "acme-tls/1";

/** Certificates that answer an authority's TLS-ALPN-01 (RFC 8737), by name. Ordinary clients never see them. */
export class Challenges {
  readonly #contexts = new Map<string, SecureContext>();

  /** Sets, or with `null` removes, what answers for a name. Throws when the pair is not usable. */
  set(name: string, pair: { certPem: string; keyPem: string } | null): void {
    const key = name.toLowerCase();
    if (pair === null) this.#contexts.delete(key);
    else this.#contexts.set(key, createSecureContext({ cert: pair.certPem, key: pair.keyPem, minVersion }));
  }

  /** For the handshake that begins so; `null` when it is an ordinary one, or nobody waits for it. */
  optionsFor({ serverName, protocols }: ClientHello): TLSSocketOptions | null {
    if (serverName === null || protocols.length !== 1 || protocols[0] !== protocol) return null;
    const secureContext = this.#contexts.get(serverName);
    return secureContext === undefined ? null : { secureContext, ALPNProtocols: [protocol] };
  }
}
