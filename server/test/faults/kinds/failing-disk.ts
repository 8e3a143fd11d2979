import type { Fault, Trial } from "../fault.ts";
import { addFindings, describeFindings, noFindings, type Findings } from "../findings.ts";
import { hastyService } from "../hasty-entry.ts";
import { Rig } from "../rig.ts";
import { canTrace, straceCommand } from "../strace-file.ts";
import { syncCalls } from "../sync-trace.ts";

const patienceMs = 30_000;
const mailsAfterwards = 200;

/** Syncs that fail for a moment. */
export const failingSyncs: Fault = failingDisk({
  name: "sync-error",
  about: "`fsync` and `fdatasync` return EIO for a moment, then a kill",
  calls: "fsync,fdatasync",
  error: "EIO",
  // Counted from the writer's first call on, of which the start makes a few.
  first: [15, 40],
  many: [1, 8],
  soon: 6,
});

/** Writes that fail for a moment. */
export const failingWrites: Fault = failingDisk({
  name: "write-error",
  about: "`pwrite64` returns ENOSPC for a moment, then a kill",
  calls: "pwrite64",
  error: "ENOSPC",
  first: [300, 1500],
  many: [1, 60],
  soon: 100,
});

interface FailingCalls {
  name: string;
  about: string;
  calls: string;
  error: string;
  /** Which call of a thread is the first that fails, and how many do: from, to. */
  first: readonly [number, number];
  many: readonly [number, number];
  /** A call that comes with the first mails, and not before the server has started. */
  soon: number;
}

function failingDisk(failing: FailingCalls): Fault {
  const { name, about } = failing;
  return {
    name,
    about,
    obstacle: () => (canTrace() ? null : "strace is not installed, or may not trace here"),
    times: (cycles) => Math.max(1, Math.round(cycles / 20)),
    inflict: (trial) => failForAMoment(trial, failing),
    control: {
      about: "a server that says 250 whatever the disk says",
      inflict: (trial) => failUnderHasty(trial, failing),
    },
  };
}

async function failForAMoment(trial: Trial, failing: FailingCalls): Promise<Findings> {
  const sum = noFindings();
  for (let done = 0; done < trial.times && !trial.signal.aborted; done++) {
    await using rig = await Rig.make(trial);
    const broken = await failOnce(rig, failing);
    const findings = await rig.judge();
    findings.broken.push(...broken);
    trial.say(`${failing.name} ${done + 1} of ${trial.times}: ${describeFindings(findings)}`);
    addFindings(sum, { ...findings, times: 1 });
  }
  return sum;
}

async function failOnce(rig: Rig, failing: FailingCalls): Promise<string[]> {
  const { random } = rig;
  const first = random.integer(...failing.first);
  const inject = `inject=${failing.calls}:error=${failing.error}:when=${first}..${first + random.integer(...failing.many) - 1}`;
  await using service = await rig.serve({ under: straceCommand(syncCalls, "/dev/null", ["-e", inject]) });
  const load = rig.load(service);
  const broken: string[] = [];
  if (!(await load.reaches(({ delayed }) => delayed > 0, patienceMs))) {
    broken.push(`no mail was answered 4yz: the disk never failed (${inject})`);
  }
  const { acknowledged } = load;
  const isServing = await load.reaches((now) => now.acknowledged >= acknowledged + mailsAfterwards, patienceMs);
  if (!isServing) broken.push("mail was not taken again once the disk worked again");
  await rig.kill(service, load);
  return broken;
}

/** A server that hides what the disk says cannot be asked whether it failed, so here it fails for good and soon. */
async function failUnderHasty(trial: Trial, failing: FailingCalls): Promise<Findings> {
  await using rig = await Rig.make(trial);
  const inject = `inject=${failing.calls}:error=${failing.error}:when=${failing.soon}+`;
  const under = straceCommand(syncCalls, "/dev/null", ["-e", inject]);
  await using service = await rig.serve({ under, entry: hastyService });
  const load = rig.load(service);
  await load.reaches(({ acknowledged }) => acknowledged >= 1500, patienceMs);
  await rig.kill(service, load);
  return await rig.judge();
}
