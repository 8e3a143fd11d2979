import { stat } from "node:fs/promises";
import { messageOf, systemCodeOf } from "../errors.ts";
import type { Logger } from "../log.ts";
import { readCertificate, type Certificate } from "./certificate.ts";
import { CertificateFault } from "./certificate-fault.ts";
import { stampOf, type PairFiles } from "./pair-files.ts";

interface Place {
  files: PairFiles;
  /** Of the files that were read last; `null` while they have to be read again. */
  stamp: string | null;
  certificate: Certificate | null;
  /** What was said of the files last, so that it is said once. */
  complaint: string | null;
}

/**
 * The last good certificate of each pair of files. What is missing or wrong after a change stays as it was; it is tried
 * again at each look, and complained of once. Files that have gone count until their certificate expires.
 */
export class CertificateShelf {
  readonly #log: Logger;
  readonly #places = new Map<string, Place>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** In the order in which their files were first seen. */
  get certificates(): Certificate[] {
    return [...this.#places.values()].flatMap(({ certificate }) => certificate ?? []);
  }

  /** Reads a pair that must be usable. Rejects with {@link CertificateFault} when it is not. */
  async put(files: PairFiles): Promise<void> {
    // Before it is looked at, so that a missing file is named.
    const certificate = await readCertificate(files);
    this.#places.set(files.certFile, { files, stamp: null, certificate, complaint: null });
  }

  /** Reads each of these pairs that has changed. True when what is to be served may have. */
  async look(found: readonly PairFiles[]): Promise<boolean> {
    let hasChanged = false;
    for (const files of found) {
      const place = this.#placeOf(files);
      if (await this.#lookAt(place)) hasChanged = true;
    }
    const present = new Set(found.map(({ certFile }) => certFile));
    for (const [name, place] of this.#places) {
      if (present.has(name)) continue;
      // What still serves is kept; what does not would only add up where names come and go.
      if ((place.certificate?.expiresAtMs ?? 0) < Date.now()) hasChanged = this.#places.delete(name);
      else this.#complain(place, `${name} has gone.`);
    }
    return hasChanged;
  }

  #placeOf(files: PairFiles): Place {
    let place = this.#places.get(files.certFile);
    if (place === undefined) {
      place = { files, stamp: null, certificate: null, complaint: null };
      this.#places.set(files.certFile, place);
    }
    return place;
  }

  async #lookAt(place: Place): Promise<boolean> {
    const { files } = place;
    try {
      const stamp = await stampOf(files);
      if (stamp === null) throw new CertificateFault(`${files.certFile} or ${files.keyFile} is missing.`);
      if (stamp === place.stamp) return false;
      place.certificate = await readCertificate(files);
      // Taken before reading: what was written meanwhile gives another one at the next look.
      place.stamp = stamp;
      place.complaint = null;
    } catch (error) {
      place.stamp = null;
      const isOurs = error instanceof CertificateFault;
      this.#complain(place, isOurs ? messageOf(error) : `${files.certFile} cannot be read (${systemCodeOf(error)}).`);
      return false;
    }
    await this.#welcome(place.certificate, files);
    return true;
  }

  async #welcome({ names, expiresAtMs }: Certificate, { certFile, keyFile }: PairFiles): Promise<void> {
    this.#log.info({ certificate: certFile, names, until: new Date(expiresAtMs).toISOString() }, "Certificate read");
    const isWorldReadable = await stat(keyFile).then(
      ({ mode }) => process.platform !== "win32" && (mode & 0o004) !== 0,
      () => false,
    );
    if (isWorldReadable) this.#log.warn({ key: keyFile }, "The key can be read by every user of this machine");
  }

  #complain(place: Place, complaint: string): void {
    if (place.complaint === complaint) return;
    place.complaint = complaint;
    const kept = place.certificate === null ? "It is not served" : "The last good one is served until a restart";
    this.#log.error({ certificate: place.files.certFile }, `${complaint} ${kept}`);
  }
}
