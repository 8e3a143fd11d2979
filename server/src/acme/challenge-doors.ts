import { createHash, generateKeyPairSync } from "node:crypto";
import type { ChallengeDoor } from "./order.ts";
import { makeChallengeCertificate } from "./x509.ts";

/** HTTP-01 (RFC 8555 section 8.3): what is to be answered at `/.well-known/acme-challenge/TOKEN` while an authority looks. */
export class HttpChallenges implements ChallengeDoor {
  readonly type = "http-01";
  readonly #answers = new Map<string, string>();

  open({ token, keyAuthorization }: { token: string; keyAuthorization: string }): void {
    this.#answers.set(token, keyAuthorization);
  }

  close({ token }: { token: string }): void {
    this.#answers.delete(token);
  }

  /** `null` for a token that nobody was given just now. */
  find(token: string): string | null {
    return this.#answers.get(token) ?? null;
  }
}

/** TLS-ALPN-01 (RFC 8737): a certificate for each name that an authority is about to ask for; `set` hands it to who serves TLS, `null` takes it away. */
export function alpnChallenges(
  set: (name: string, pair: { certPem: string; keyPem: string } | null) => void,
): ChallengeDoor {
  return {
    type: "tls-alpn-01",
    open({ name, keyAuthorization }) {
      const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const digest = createHash("sha256").update(keyAuthorization).digest();
      const certPem = makeChallengeCertificate(name, digest, privateKey);
      set(name, { certPem, keyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString() });
    },
    close({ name }) {
      set(name, null);
    },
  };
}
