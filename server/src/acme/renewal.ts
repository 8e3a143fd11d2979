import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { messageOf, systemCodeOf } from "../errors.ts";
import type { Logger } from "../log.ts";
import { forgetAccount, openAccount } from "./account.ts";
import { Attempts } from "./attempts.ts";
import { AcmeFault } from "./fault.ts";
import { keepFile, keepKey, readIfThere } from "./kept-files.ts";
import { orderCertificate, type ChallengeDoor } from "./order.ts";
import { Transport } from "./transport.ts";

export interface RenewalOptions {
  /** Each gets a certificate of its own, so that one that fails keeps none of the others back. */
  names: readonly string[];
  directoryUrl: string;
  /** The authority's own root, for an authority that the world does not trust; `null` is what Node trusts. */
  caFile: string | null;
  email: string | null;
  /** Where accounts are kept. */
  accountDir: string;
  /** What became of orders. */
  ordersFile: string;
  /** `NAME/fullchain.pem` and `NAME/privkey.pem`. */
  certificateDir: string;
  door: ChallengeDoor;
  userAgent: string;
  /** Told of each new certificate, which is on disk by then. */
  readonly onRenewed: () => Promise<void>;
  log: Logger;
}

/** Longest time between two looks: clocks are set, and a suspended machine's timers stand still. */
const maxPauseMs = 3_600_000;
const minPauseMs = 250;
/** Renewed when this share of its lifetime is left … */
const shareLeft = 1 / 3;
/** … or up to this share later, by chance, so that not everybody comes in the same minute. */
const jitterShare = 1 / 50;

/**
 * Gets certificates from an ACME authority (RFC 8555) and renews them in time, one order after the other, in the
 * background. A certificate's key is made once and kept, so that a DANE record of it holds for every renewal, and so that
 * a renewal replaces one file in one step. No failure gets out: each is one line in the log, and tried again later.
 */
export class Renewal implements AsyncDisposable {
  readonly #options: RenewalOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  /** Returns at once. Only one process may do this for a data directory. */
  static start(options: RenewalOptions): Renewal {
    return new Renewal(options);
  }

  private constructor(options: RenewalOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** Gives up what is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { ordersFile, directoryUrl, log } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const attempts = await Attempts.open(ordersFile, directoryUrl);
        const pauseMs = await this.#visit(attempts);
        await delay(Math.min(Math.max(pauseMs, minPauseMs), maxPauseMs), undefined, { signal, ref: false });
      } catch (error) {
        if (signal.aborted) return;
        log.error({ err: error }, "Certificates cannot be looked after; trying again in an hour");
        await delay(maxPauseMs, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }

  /** Renews what is due; answers how long nothing else will be. */
  async #visit(attempts: Attempts): Promise<number> {
    let nextMs = Infinity;
    for (const name of this.#options.names) {
      this.#stop.signal.throwIfAborted();
      if ((await this.#dueMs(attempts, name)) <= Date.now()) await this.#attempt(attempts, name);
      nextMs = Math.min(nextMs, await this.#dueMs(attempts, name));
    }
    return nextMs - Date.now();
  }

  async #dueMs(attempts: Attempts, name: string): Promise<number> {
    const { chain, key } = this.#files(name);
    const [chainPem, keyPem] = await Promise.all([readIfThere(chain), readIfThere(key)]);
    const isOurs = chainPem !== null && keyPem !== null && !attempts.isFromElsewhere(name);
    return Math.max(attempts.notBeforeMs(name, Date.now()), isOurs ? renewalTimeOf(chainPem, keyPem) : 0);
  }

  async #attempt(attempts: Attempts, name: string): Promise<void> {
    const { log, onRenewed } = this.#options;
    const { signal } = this.#stop;
    await attempts.begin(name);
    try {
      const chainPem = await this.#order(name);
      const { validFromDate, validToDate } = new X509Certificate(chainPem);
      await keepFile(this.#files(name).chain, chainPem);
      await attempts.succeed(name, validToDate.getTime() - validFromDate.getTime());
      log.info({ name, until: validToDate.toISOString() }, "The authority gave a certificate");
      await onRenewed();
    } catch (error) {
      // A stop is nobody's failure.
      if (signal.aborted) return await attempts.giveUp(name);
      const reason = messageOf(error);
      await attempts.fail(name, { reason, retryAfterMs: error instanceof AcmeFault ? error.retryAfterMs : null });
      const { failures, notBeforeMs } = attempts.of(name);
      const facts = { name, failures, nextTry: new Date(notBeforeMs).toISOString() };
      if (error instanceof AcmeFault) log.error(facts, `No certificate: ${reason}`);
      else log.error({ ...facts, err: error }, "No certificate");
    }
  }

  async #order(name: string): Promise<string> {
    const { directoryUrl, accountDir, email, door, userAgent, caFile } = this.#options;
    const { signal } = this.#stop;
    using transport = new Transport({ caPem: await readCa(caFile), userAgent, signal });
    const account = { accountDir, directoryUrl, email };
    const key = await keepKey(this.#files(name).key);
    try {
      return await orderCertificate(await openAccount(transport, account), { name, key, door, signal });
    } catch (error) {
      if (!(error instanceof AcmeFault) || error.type !== "accountDoesNotExist") throw error;
      await forgetAccount(account);
      return await orderCertificate(await openAccount(transport, account), { name, key, door, signal });
    }
  }

  #files(name: string): { chain: string; key: string } {
    const directory = join(this.#options.certificateDir, name);
    return { chain: join(directory, "fullchain.pem"), key: join(directory, "privkey.pem") };
  }
}

async function readCa(file: string | null): Promise<string | null> {
  if (file === null) return null;
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new AcmeFault(`${file} cannot be read (${systemCodeOf(error)}).`);
  }
}

/** When to renew. The chance in it is the certificate's own, so that every look answers the same. 0 for what is no pair. */
function renewalTimeOf(chainPem: string, keyPem: string): number {
  try {
    const leaf = new X509Certificate(chainPem);
    if (!leaf.checkPrivateKey(createPrivateKey(keyPem))) return 0;
    const { validFromDate, validToDate, fingerprint256 } = leaf;
    const lifetimeMs = validToDate.getTime() - validFromDate.getTime();
    const chance = parseInt(fingerprint256.slice(0, 2), 16) / 256;
    return validToDate.getTime() - lifetimeMs * (shareLeft - jitterShare * chance);
  } catch {
    return 0;
  }
}
