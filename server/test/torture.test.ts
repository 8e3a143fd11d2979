import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Trial } from "./faults/fault.ts";
import { countFaults, describeFindings } from "./faults/findings.ts";
import { allFaults } from "./faults/kinds/all-faults.ts";
import { faultless } from "./faults/verdict.ts";
import { Random } from "./support/random.ts";

// The short form of `npm run torture`, which has more to say about each of them.
const cycles = 3;

for (const fault of allFaults) {
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
