import { pathToFileURL } from "node:url";
import { join } from "node:path";
import { until } from "../../support/until.ts";
import type { Fault, Trial } from "../fault.ts";
import { addFindings, describeFindings, noFindings, type Findings } from "../findings.ts";
import { listThroughApi } from "../read-back.ts";
import { Rig } from "../rig.ts";

const mostHours = 12;
const killsPerRig = 3;
const patienceMs = 30_000;
const preload = `--import ${pathToFileURL(join(import.meta.dirname, "../jumping-clock.ts")).href}`;

/** The machine's clock jumps while mail comes in, and again over each kill. */
export const clockJumps: Fault = {
  name: "clock",
  about: `the clock jumps up to ${mostHours} hours both ways, four times a second, and a kill`,
  obstacle: () => null,
  times: (cycles) => Math.max(1, Math.round(cycles / 20)),
  inflict: (trial) => jump(trial),
  control: {
    about: "mails are kept for one hour only, and the clock is set two days ahead",
    inflict: (trial) => outliveRetention(trial),
  },
};

async function jump(trial: Trial): Promise<Findings> {
  const sum = noFindings();
  for (let done = 0; done < trial.times && !trial.signal.aborted; done += killsPerRig) {
    await using rig = await Rig.make(trial);
    for (let kills = done; kills < Math.min(done + killsPerRig, trial.times); kills++) {
      const acknowledged = await runOnJumpingClock(rig);
      sum.times++;
      trial.say(`clock ${kills + 1} of ${trial.times}: ${acknowledged} acknowledged`);
    }
    const findings = await rig.judge();
    trial.say(describeFindings(findings));
    addFindings(sum, findings);
  }
  return sum;
}

async function runOnJumpingClock(rig: Rig): Promise<number> {
  // Retention looks when the server starts, so each start looks at another time.
  const env = { NODE_OPTIONS: preload, FAULTS_CLOCK_HOURS: String(mostHours), CATMAILS_RETENTION_AGE: "30d" };
  await using service = await rig.serve({ env });
  const load = rig.load(service);
  const startedMs = performance.now();
  await load.reaches(({ acknowledged }) => acknowledged >= 800 && performance.now() - startedMs > 1000, patienceMs);
  await rig.kill(service, load);
  return load.acknowledged;
}

/** What a server does that is told to delete: the reader must miss the mails. */
async function outliveRetention(trial: Trial): Promise<Findings> {
  await using rig = await Rig.make(trial);
  {
    await using service = await rig.serve();
    const load = rig.load(service);
    await load.reaches(({ acknowledged }) => acknowledged >= 100, patienceMs);
    await rig.kill(service, load);
  }
  const env = {
    NODE_OPTIONS: preload,
    FAULTS_CLOCK_HOURS: "48",
    FAULTS_CLOCK_FIXED: "1",
    CATMAILS_RETENTION_AGE: "1h",
  };
  {
    await using service = await rig.serve({ env });
    await until("retention has deleted mails", async () => {
      const lists = await Promise.all(rig.residents.map((one) => listThroughApi(service.report.http, one)));
      return lists.some((list) => list.length === 0);
    });
    await service.stop();
  }
  return await rig.judge();
}
