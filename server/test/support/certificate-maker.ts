import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Why tests that need certificates are skipped; `false` where they are not. */
export function skipWithoutOpenssl(): string | false {
  return spawnSync("openssl", ["version"]).error === undefined ? false : "openssl is not installed";
}

/** A chain, leaf first, and its key, in PEM. */
export interface PemPair {
  chain: string;
  key: string;
}

const keyArguments = {
  ec: ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
  rsa: ["-newkey", "rsa:2048"],
} as const;

/** An authority with an intermediate below its root, which makes certificates in a directory of its own. */
export class CertificateMaker {
  /** What a client has to trust. */
  readonly rootFile: string;
  readonly #directory: string;
  #made = 0;

  constructor(directory: string) {
    this.#directory = directory;
    this.rootFile = join(directory, "root.crt");
    this.#issue("root", { subject: "Test Root", extensions: ["basicConstraints=critical,CA:TRUE"] });
    const extensions = ["basicConstraints=critical,CA:TRUE,pathlen:0"];
    this.#issue("between", { subject: "Test Intermediate", extensions, issuer: "root" });
  }

  /** Makes a certificate; its serial is different from every other's. */
  make(names: readonly string[], options: { key?: "ec" | "rsa"; days?: number } = {}): PemPair {
    const name = `leaf-${this.#made++}`;
    const extensions = [`subjectAltName=${names.map((dns) => `DNS:${dns}`).join()}`, "basicConstraints=CA:FALSE"];
    this.#issue(name, { subject: names[0] ?? "nobody", extensions, issuer: "between", ...options });
    return { chain: this.#read(`${name}.crt`) + this.#read("between.crt"), key: this.#read(`${name}.key`) };
  }

  #issue(
    name: string,
    made: { subject: string; extensions: string[]; issuer?: string; key?: "ec" | "rsa"; days?: number },
  ): void {
    const file = (ending: string): string => join(this.#directory, ending);
    execFileSync(
      "openssl",
      [
        ...["req", "-x509", "-nodes", "-days", String(made.days ?? 90), "-subj", `/CN=${made.subject}`],
        ...keyArguments[made.key ?? "ec"],
        ...["-keyout", file(`${name}.key`), "-out", file(`${name}.crt`)],
        ...made.extensions.flatMap((extension) => ["-addext", extension]),
        ...(made.issuer === undefined ? [] : ["-CA", file(`${made.issuer}.crt`), "-CAkey", file(`${made.issuer}.key`)]),
      ],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
  }

  #read(file: string): string {
    return readFileSync(join(this.#directory, file), "latin1");
  }
}

/** Puts a pair in place as certbot names it, each file in one step. Makes the directory. */
export function writePair(directory: string, { chain, key }: PemPair): void {
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of [
    ["fullchain.pem", chain],
    ["privkey.pem", key],
  ] as const) {
    const file = join(directory, name);
    writeFileSync(`${file}.new`, text, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }
}
