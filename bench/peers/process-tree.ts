import { readdir, readFile } from "node:fs/promises";

/** Ticks of /proc/<pid>/stat in a second: what every Linux shows to programs. */
const ticksPerSecond = 100;

/** What a process and everything it started have used so far. */
export interface TreeUsage {
  /** User and system time, of children that have ended as well. */
  cpuSeconds: number;
  /** Sum of the most memory that each living process ever held at once: a little more than all of them at any moment. */
  peakBytes: number;
}

/** A process and all its descendants, the process first. Empty when it has ended. */
export async function readTree(root: number): Promise<number[]> {
  const parents = new Map<number, number[]>();
  const pids = (await readdir("/proc")).map(Number).filter(Number.isInteger);
  await Promise.all(
    pids.map(async (pid) => {
      const fields = await statOf(pid);
      if (fields === null) return;
      const parent = Number(fields[1]);
      parents.set(parent, [...(parents.get(parent) ?? []), pid]);
    }),
  );
  const tree = pids.includes(root) ? [root] : [];
  for (const pid of tree) tree.push(...(parents.get(pid) ?? []));
  return tree;
}

/** Processor time and memory of a process and all its descendants. */
export async function readTreeUsage(root: number): Promise<TreeUsage> {
  const usages = await Promise.all((await readTree(root)).map(usageOf));
  return {
    cpuSeconds: usages.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
    peakBytes: usages.reduce((sum, { peakBytes }) => sum + peakBytes, 0),
  };
}

async function usageOf(pid: number): Promise<TreeUsage> {
  const fields = (await statOf(pid)) ?? [];
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  // utime, stime, cutime and cstime are fields 14 to 17 of all.
  const ticks = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index] ?? 0), 0);
  const kibibytes = /^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? "0";
  return { cpuSeconds: ticks / ticksPerSecond, peakBytes: Number(kibibytes) * 1024 };
}

/** Fields from the third on: the second is the command in brackets and may hold spaces. */
async function statOf(pid: number): Promise<string[] | null> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  return stat === null ? null : stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}
