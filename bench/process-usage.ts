import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Ticks of /proc/<pid>/stat in a second: what every Linux shows to programs. */
const ticksPerSecond = 100;

/** What a process has used so far; 0 where the system does not tell. */
export interface Usage {
  residentBytes: number;
  /** Most that was resident since {@link forgetPeak}, or ever. */
  peakBytes: number;
  cpuSeconds: number;
}

/** Memory and processor time of a whole process, all threads. */
export async function usageOf(pid: number): Promise<Usage> {
  const about = join("/proc", String(pid));
  const [status, stat] = await Promise.all([read(join(about, "status")), read(join(about, "stat"))]);
  const kibibytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0);
  // The second field is the command in brackets and may hold spaces; user and system time are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  return {
    residentBytes: kibibytes("VmRSS") * 1024,
    peakBytes: kibibytes("VmHWM") * 1024,
    cpuSeconds: ticks / ticksPerSecond,
  };
}

/** Begins the process's peak of memory anew, where the system lets us. */
export async function forgetPeak(pid: number): Promise<void> {
  // "5" resets the peak resident set (proc(5)).
  await writeFile(join("/proc", String(pid), "clear_refs"), "5").catch(() => undefined);
}

function read(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}
