import type { SmtpLimits } from "./limits.ts";

/** A connection may last one minute longer for each so many bytes that came. */
const bytesPerMinute = 5_000_000;

/**
 * Whether a client is fast enough. A mail has to come with {@link SmtpLimits.minBytesPerSecond} in every period of
 * {@link SmtpLimits.minRatePeriodMs}, the first included, and the whole connection within a time that grows with what it
 * brought. Time in which the client waited for us never counts against its rate.
 */
export class Pace {
  readonly #limits: SmtpLimits;
  readonly #openedMs: number;
  /** Since when and from which byte on the rate is measured; `null`: not now. */
  #period: { sinceMs: number; fromBytes: number } | null = null;

  constructor(limits: SmtpLimits, nowMs: number) {
    this.#limits = limits;
    this.#openedMs = nowMs;
  }

  /** The client waits for us, so a period begins anew. */
  excuse(): void {
    this.#period = null;
  }

  /** To be asked now and then. `bytes`: all that came so far. `isSending`: a mail is under way. */
  judge(nowMs: number, { bytes, isSending }: { bytes: number; isSending: boolean }): "slow" | "overdue" | null {
    const { maxSessionMs, minRatePeriodMs, minBytesPerSecond } = this.#limits;
    if (nowMs - this.#openedMs > maxSessionMs + (bytes / bytesPerMinute) * 60_000) return "overdue";
    if (!isSending) this.#period = null;
    else if (this.#period === null) this.#period = { sinceMs: nowMs, fromBytes: bytes };
    else {
      const { sinceMs, fromBytes } = this.#period;
      const periodMs = nowMs - sinceMs;
      if (periodMs < minRatePeriodMs) return null;
      if (bytes - fromBytes < (minBytesPerSecond * periodMs) / 1000) return "slow";
      this.#period = { sinceMs: nowMs, fromBytes: bytes };
    }
    return null;
  }
}
