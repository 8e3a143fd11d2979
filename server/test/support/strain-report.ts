/**
 * Loaded into a server before it starts (`--import`). At each SIGUSR2 every thread collects its garbage, and the main one
 * writes a {@link StrainReport} as one line of JSON to standard error.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { BroadcastChannel, isMainThread } from "node:worker_threads";

/** What a server's memory holds after a collection, and how long it kept its event loop from turning since the last report. */
export interface StrainReport {
  strain: {
    rss: number;
    /** What lives in the heaps of all threads, and what is held beside them. */
    liveBytes: number;
    /**
     * Milliseconds of processor time that the main thread spent between two turns of a timer, past its interval: the delay
     * that the server itself makes. What other programs do on the machine is not in it, unlike in what a clock tells.
     */
    delayP99Ms: number;
    delayMaxMs: number;
  };
}

const tickMs = 5;
/** For the other threads to collect theirs. */
const graceMs = 500;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const channel = new BroadcastChannel("strain-report");

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function watchDelays(): () => number[] {
  let delays: number[] = [];
  let last = threadCpuMs();
  const timer = setInterval(() => {
    const now = threadCpuMs();
    delays.push(Math.max(0, now - last - tickMs));
    last = now;
  }, tickMs);
  timer.unref();
  return () => {
    const taken = delays.toSorted((a, b) => a - b);
    delays = [];
    return taken;
  };
}

function liveBytes(): number {
  // Twice: what the first one frees lets go of buffers that only the second one finds.
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function reportAtSignal(): void {
  const takeDelays = watchDelays();
  let live = 0;
  hear((said) => (live += Number(said)));
  process.on("SIGUSR2", () => {
    const delays = takeDelays();
    channel.postMessage("collect");
    live = liveBytes();
    setTimeout(() => {
      const delayP99Ms = delays[Math.floor((delays.length - 1) * 0.99)] ?? 0;
      const { rss } = process.memoryUsage();
      const strain = { rss, liveBytes: live, delayP99Ms, delayMaxMs: delays.at(-1) ?? 0 };
      process.stderr.write(`${JSON.stringify({ strain } satisfies StrainReport)}\n`);
      // Collecting was our delay, not the server's.
      takeDelays();
    }, graceMs);
  });
}

function hear(take: (said: unknown) => void): void {
  channel.addEventListener("message", (event) => take((event as unknown as { data: unknown }).data));
  channel.unref();
}

if (isMainThread) reportAtSignal();
else {
  // The threads hear each other as well.
  hear((said) => {
    if (said === "collect") channel.postMessage(liveBytes());
  });
}
