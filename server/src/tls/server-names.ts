import type { Certificate } from "./certificate.ts";

/** Certificates that a client is offered together: at most one of each type of key. */
export type Offer = readonly Certificate[];

/**
 * What is served for which name. A client's name is looked for as it is, then as a wildcard for its first label; every
 * other client, also one that says no name, gets the default: that of `defaultName`, else the first certificate.
 * Of two certificates with the same name and type of key the one that lasts longer is served.
 */
export class ServerNames {
  readonly default: Offer | null;
  readonly #offers: ReadonlyMap<string, Offer>;

  constructor(certificates: readonly Certificate[], defaultName: string) {
    const all = Map.groupBy(
      certificates.flatMap((certificate) => certificate.names.map((name) => ({ name, certificate }))),
      ({ name }) => name,
    );
    this.#offers = new Map(
      Array.from(all, ([name, entries]) => [name, bestOf(entries.map(({ certificate }) => certificate))]),
    );
    const [first] = certificates;
    this.default = this.find(defaultName) ?? (first === undefined ? null : [first]);
  }

  /** Every name there is a certificate for, wildcards included, with what is served for it. */
  get entries(): Iterable<[string, Offer]> {
    return this.#offers;
  }

  /** What there is for a client's name itself; `null` when only the default is left. */
  find(name: string): Offer | null {
    const key = name.toLowerCase().replace(/\.$/, "");
    return this.#offers.get(key) ?? this.#offers.get(key.replace(/^[^.]+/, "*")) ?? null;
  }
}

function bestOf(certificates: readonly Certificate[]): Certificate[] {
  const byType = Map.groupBy(certificates, ({ keyType }) => keyType);
  return Array.from(byType.values(), (same) =>
    same.reduce((best, other) => (other.expiresAtMs > best.expiresAtMs ? other : best)),
  );
}
