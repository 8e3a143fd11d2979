import type { Logger } from "../log.ts";
import type { SmtpLimits } from "./limits.ts";
import type { SmtpMetrics } from "./metrics.ts";

/** How patient the door is with a client. */
export interface Patience {
  readonly idleTimeoutMs: number;
  readonly maxErrors: number;
}

/** Connections have to fall this many percent of all below the mark before the door is patient again. */
const calmPercent = 10;

/**
 * When connections become scarce, silent and faulty clients have to make room for others: above
 * {@link SmtpLimits.stressPercent} of all connections the two limits of stress hold for everybody, until 10 percent below.
 * Each change is logged and counted once.
 */
export class Stress implements Patience {
  readonly #limits: SmtpLimits;
  readonly #log: Logger;
  readonly #metrics: SmtpMetrics | undefined;
  #isOn = false;

  constructor(limits: SmtpLimits, { log, metrics }: { log: Logger; metrics: SmtpMetrics | undefined }) {
    this.#limits = limits;
    this.#log = log;
    this.#metrics = metrics;
  }

  get idleTimeoutMs(): number {
    const { idleTimeoutMs, stressIdleTimeoutMs } = this.#limits;
    return this.#isOn ? Math.min(stressIdleTimeoutMs, idleTimeoutMs) : idleTimeoutMs;
  }

  get maxErrors(): number {
    const { maxErrors, stressMaxErrors } = this.#limits;
    return this.#isOn ? Math.min(stressMaxErrors, maxErrors) : maxErrors;
  }

  /** To be told how many connections are open, whenever that changes. */
  note(connections: number): void {
    const { maxConnections, stressPercent } = this.#limits;
    const percent = (connections / maxConnections) * 100;
    const isOn = percent > (this.#isOn ? stressPercent - calmPercent : stressPercent);
    if (isOn === this.#isOn) return;
    this.#isOn = isOn;
    this.#metrics?.stressChanged(isOn);
    const facts = { connections, maxConnections };
    if (isOn) this.#log.warn(facts, "SMTP connections are scarce: less patience with silent and faulty clients");
    else this.#log.info(facts, "SMTP connections are no longer scarce");
  }
}
