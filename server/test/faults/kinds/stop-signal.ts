import type { Fault, Trial } from "../fault.ts";
import { addFindings, describeFindings, noFindings, type Findings } from "../findings.ts";
import { hastyService } from "../hasty-entry.ts";
import { Rig } from "../rig.ts";

const patienceMs = 30_000;

/** SIGTERM under load: an orderly stop in the middle of everything. */
export const stopSignal: Fault = {
  name: "stop",
  about: "SIGTERM under the load of 50 connections",
  obstacle: () => null,
  times: (cycles) => Math.max(1, Math.round(cycles / 20)),
  inflict: (trial) => stopAgainAndAgain(trial),
  control: {
    about: "a server that says 250, commits 100 ms later and does not wait for it",
    inflict: (trial) => stopAgainAndAgain({ ...trial, times: 1 }, hastyService),
  },
};

async function stopAgainAndAgain(trial: Trial, entry?: string): Promise<Findings> {
  await using rig = await Rig.make(trial);
  const sum = noFindings();
  for (let done = 0; done < trial.times && !trial.signal.aborted; done++) {
    await using service = await rig.serve(entry === undefined ? {} : { entry });
    const load = rig.load(service);
    // A server that has taken nothing yet has nothing to lose.
    const goal = entry === undefined ? rig.random.integer(0, 1200) : 300;
    await load.reaches(({ acknowledged }) => acknowledged >= goal, patienceMs);
    const startedMs = performance.now();
    const code = await service.stop();
    const ms = performance.now() - startedMs;
    await rig.settle(load);
    sum.times++;
    if (code !== 0) sum.broken.push(`it ended with ${code}\n${service.log.join("\n")}`);
    trial.say(`stop ${done + 1} of ${trial.times}: ${load.acknowledged} acknowledged, stopped in ${ms.toFixed(0)} ms`);
  }
  const findings = await rig.judge();
  trial.say(describeFindings(findings));
  addFindings(sum, findings);
  return sum;
}
