import { isObject, textOf } from "./json.ts";
import { keepFile, readObject } from "./kept-files.ts";

/** What is remembered of one name's orders. */
export interface Attempt {
  /** Directory of the authority that was asked. */
  directoryUrl: string;
  /** Failed in a row; 0 after a success. */
  failures: number;
  /** The authority is not asked again before this moment. */
  notBeforeMs: number;
  /** Why the last one failed; empty after a success, and while nobody knows how one ends. */
  reason: string;
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
/** Doubled with every failure in a row: at most 4 orders in the first hour, where Let's Encrypt takes 5 failed checks of a name. */
const firstPauseMs = 5 * minuteMs;
const maxPauseMs = 12 * hourMs;
/** What an authority may ask for. */
const maxAskedPauseMs = 7 * 24 * hourMs;
/** So far apart, 5 certificates for a name take more than a week, which is what Let's Encrypt allows. */
const certificatePauseMs = 36 * hourMs;
/** Part of a lifetime that has to pass where lifetimes are short. */
const certificateShare = 1 / 4;

/**
 * The orders of every name, kept in a file so that a server that is started again and again asks an authority no more
 * often than one that runs on.
 */
export class Attempts {
  readonly #file: string;
  readonly #directoryUrl: string;
  readonly #byName: Map<string, Attempt>;

  /** For orders at this authority. */
  static async open(file: string, directoryUrl: string): Promise<Attempts> {
    const kept = Object.entries(await readObject(file)).flatMap(([name, value]): [string, Attempt][] =>
      isObject(value) ? [[name, attemptOf(value)]] : [],
    );
    return new Attempts(file, directoryUrl, new Map(kept));
  }

  private constructor(file: string, directoryUrl: string, byName: Map<string, Attempt>) {
    this.#file = file;
    this.#directoryUrl = directoryUrl;
    this.#byName = byName;
  }

  /** What this authority was asked for; nothing while the last one that was asked is another. */
  of(name: string): Attempt {
    const kept = this.#byName.get(name);
    if (kept !== undefined && !this.isFromElsewhere(name)) return kept;
    return { directoryUrl: this.#directoryUrl, failures: 0, notBeforeMs: 0, reason: "" };
  }

  /** True when another authority was asked last: a certificate that there may be is not from this one. */
  isFromElsewhere(name: string): boolean {
    const kept = this.#byName.get(name);
    return kept !== undefined && kept.directoryUrl !== this.#directoryUrl;
  }

  /** When a name may be ordered again. A clock that was set back does not make it wait for longer than any rule asks. */
  notBeforeMs(name: string, nowMs: number): number {
    const { notBeforeMs } = this.of(name);
    return notBeforeMs > nowMs + maxAskedPauseMs ? 0 : notBeforeMs;
  }

  /** Before an order, which counts as failed until it is known to be done: a server that dies of it must not ask at once again. */
  async begin(name: string): Promise<void> {
    const failures = this.of(name).failures + 1;
    await this.#keep(name, { failures, pauseMs: backoffMs(failures), reason: "" });
  }

  /** After {@link begin}, says what the failure was; `retryAfterMs` is what the authority asked for. */
  async fail(name: string, { reason, retryAfterMs }: { reason: string; retryAfterMs: number | null }): Promise<void> {
    const { failures } = this.of(name);
    const askedMs = Math.min(retryAfterMs ?? 0, maxAskedPauseMs);
    await this.#keep(name, { failures, pauseMs: Math.max(backoffMs(failures), askedMs), reason });
  }

  /** After {@link begin}, for a stop in the middle: no failure, but not at once again either. */
  async giveUp(name: string): Promise<void> {
    await this.#keep(name, { failures: this.of(name).failures - 1, pauseMs: minuteMs, reason: "" });
  }

  /** After {@link begin}, with a certificate that lasts for so long. */
  async succeed(name: string, lifetimeMs: number): Promise<void> {
    const pauseMs = Math.min(certificatePauseMs, lifetimeMs * certificateShare);
    await this.#keep(name, { failures: 0, pauseMs, reason: "" });
  }

  async #keep(
    name: string,
    { failures, pauseMs, reason }: { failures: number; pauseMs: number; reason: string },
  ): Promise<void> {
    const notBeforeMs = Math.ceil(Date.now() + pauseMs);
    this.#byName.set(name, { directoryUrl: this.#directoryUrl, failures, notBeforeMs, reason });
    await keepFile(this.#file, `${JSON.stringify(Object.fromEntries(this.#byName), null, 2)}\n`);
  }
}

function backoffMs(failures: number): number {
  return Math.min(firstPauseMs * 2 ** Math.min(failures - 1, 20), maxPauseMs) * (1 + Math.random() / 5);
}

function attemptOf(value: Record<string, unknown>): Attempt {
  const { failures, notBeforeMs } = value;
  return {
    directoryUrl: textOf(value, "directoryUrl"),
    failures: typeof failures === "number" ? failures : 0,
    notBeforeMs: typeof notBeforeMs === "number" ? notBeforeMs : 0,
    reason: textOf(value, "reason"),
  };
}
