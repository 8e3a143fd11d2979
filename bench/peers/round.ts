import { chmod, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { GeneratorProcess } from "../generator-process.ts";
import { auditPeer } from "./audit.ts";
import type { PreparedPeer, RunningPeer } from "./peer.ts";
import type { Audit } from "./result.ts";
import { sittings, type Figures, type Rig, type Sitting } from "./workload.ts";

/** Programs that are compiled while they run are not at their best at first: ours takes a fifth less for a mail after five seconds. */
const mostWarmUpSeconds = 6;
const mailboxes = 100;

/** Who all mail is for: several mailboxes, because one server writes a file of each one's mails anew with every mail. */
const recipients = Array.from({ length: mailboxes }, (_, number) => `bench${number}@mails.localhost`);

/** What is there for measuring, whoever is measured. */
export interface Workbench {
  generator: GeneratorProcess;
  /** On the disk that is measured; each start of a peer gets a new directory in it. */
  dir: string;
  seconds: number;
  /** Names of the workloads that are measured. */
  workloads: ReadonlySet<string>;
  signal: AbortSignal;
}

/** One round of one peer; each workload's figures are told as soon as they are there. */
export async function runRound(
  bench: Workbench,
  peer: PreparedPeer,
  tell: (workload: string, figures: Figures) => void,
): Promise<void> {
  for (const sitting of sittings) {
    const chosen = { ...sitting, workloads: sitting.workloads.filter(({ name }) => bench.workloads.has(name)) };
    if (chosen.workloads.length === 0) continue;
    await withPeer(bench, peer, null, (rig) => runSitting(rig, chosen, bench, tell));
  }
}

/** A short run of its own, because tracing takes time: counts syncs, and looks whether what was sent is there. */
export function runAudit(bench: Workbench, peer: PreparedPeer): Promise<Audit> {
  const tracePath = join(bench.dir, "syncs");
  return withPeer(bench, peer, tracePath, (rig) => auditPeer(rig, Math.min(2, bench.seconds), tracePath));
}

async function runSitting(
  rig: Rig,
  { warmUp, workloads }: Sitting,
  { seconds, signal }: Workbench,
  tell: (workload: string, figures: Figures) => void,
): Promise<void> {
  const suiting = workloads.filter((workload) => workload.suits(rig.running));
  if (suiting.length === 0) return;
  await warmUp?.run(rig, Math.min(mostWarmUpSeconds, 2 * seconds));
  for (const workload of suiting) {
    signal.throwIfAborted();
    tell(workload.name, await workload.run(rig, seconds));
  }
}

async function withPeer<R>(
  { generator, dir, signal }: Workbench,
  peer: PreparedPeer,
  tracePath: string | null,
  use: (rig: Rig) => Promise<R>,
): Promise<R> {
  signal.throwIfAborted();
  const own = join(dir, "peer");
  // Some run as another user.
  await chmod(dir, 0o711);
  await mkdir(own, { mode: 0o755 });
  try {
    await using running: RunningPeer = await peer.start({ dir: own, recipients, tracePath, signal });
    return await use({ running, generator, recipients });
  } finally {
    await rm(own, { recursive: true, force: true });
    if (tracePath !== null) await rm(tracePath, { force: true });
  }
}
