import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Random } from "../support/random.ts";
import type { Fault, Trial } from "./fault.ts";
import { countFaults, describeFindings } from "./findings.ts";
import { faultless } from "./verdict.ts";

/** Of each fault, the short form of `npm run torture`, which has more to say about each of them. */
const cycles = 3;

/** Defines the tests that these faults lose nothing, and that each one's control is noticed. */
export function faultTests(faults: readonly Fault[]): void {
  for (const fault of faults) {
    describe(`${fault.name}: ${fault.about}`, { skip: fault.obstacle() ?? false }, () => {
      const random = new Random();
      const signal = new AbortController().signal;
      const trial = (say: Trial["say"]): Trial => ({
        random,
        signal,
        say,
        parent: undefined,
        times: fault.times(cycles),
      });

      test("loses nothing that was acknowledged and makes nothing up", async (t) => {
        t.diagnostic(`FAULTS_SEED=${random.seed}`);
        const { verdict, broken, times } = await fault.inflict(trial((line) => t.diagnostic(line)));
        assert.deepEqual(verdict, faultless);
        assert.deepEqual(broken, []);
        assert.ok(times > 0, "it never happened");
      });

      test(`is noticed when the promise is broken: ${fault.control.about}`, async (t) => {
        const findings = await fault.control.inflict(trial(() => undefined));
        t.diagnostic(describeFindings(findings));
        assert.ok(countFaults(findings) > 0, "the harness saw nothing wrong");
      });
    });
  }
}
