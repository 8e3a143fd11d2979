import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

interface CpuProfile {
  nodes: readonly { id: number; callFrame: CallFrame }[];
  samples: readonly number[];
  timeDeltas: readonly number[];
}

interface CallFrame {
  functionName: string;
  url: string;
  lineNumber: number;
}

const shownLines = 25;

/**
 * What each thread of a profile directory spent its busy time on: by room or package, then by function, own time only. A
 * time is one of the clock, so waiting for the disk inside a call counts.
 */
export async function describeProfiles(dir: string): Promise<string> {
  const names = (await readdir(dir)).filter((name) => name.endsWith(".cpuprofile")).toSorted();
  const texts = names.map(async (name) => {
    const profile = JSON.parse(await readFile(join(dir, name), "utf8")) as CpuProfile;
    return `${name}\n${describe(profile)}`;
  });
  return (await Promise.all(texts)).join("\n");
}

function describe(profile: CpuProfile): string {
  const own = ownTimes(profile);
  const places = new Map<string, number>();
  const functions = new Map<string, number>();
  let busy = 0;
  for (const { id, callFrame } of profile.nodes) {
    const time = own.get(id) ?? 0;
    if (callFrame.functionName === "(idle)" || time === 0) continue;
    busy += time;
    add(places, placeOf(callFrame), time);
    add(functions, `${callFrame.functionName || "(anonymous)"}  ${whereOf(callFrame)}`, time);
  }
  const total = [...own.values()].reduce((sum, time) => sum + time, 0);
  const lines = [`  busy ${(busy / 1e6).toFixed(2)} s of ${(total / 1e6).toFixed(2)} s`];
  for (const group of [places, functions]) {
    const ranked = [...group].toSorted((a, b) => b[1] - a[1]).slice(0, shownLines);
    lines.push(...ranked.map(([name, time]) => `  ${((time / busy) * 100).toFixed(1).padStart(5)} %  ${name}`), "");
  }
  return lines.join("\n");
}

function ownTimes({ samples, timeDeltas }: CpuProfile): Map<number, number> {
  const own = new Map<number, number>();
  for (const [index, id] of samples.entries()) add(own, id, timeDeltas[index + 1] ?? 0);
  return own;
}

function add<K>(sums: Map<K, number>, key: K, value: number): void {
  sums.set(key, (sums.get(key) ?? 0) + value);
}

/** A room of the server, a package, Node itself, or native code. */
function placeOf({ url, functionName }: CallFrame): string {
  const room = /\/server\/src\/(store\/sqlite|[^/]+)/.exec(url)?.[1];
  if (room !== undefined) return room;
  const packageName = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1];
  if (packageName !== undefined) return packageName;
  if (url.startsWith("node:")) return url;
  return functionName === "(garbage collector)" || functionName === "(program)" ? functionName : "native";
}

function whereOf({ url, lineNumber }: CallFrame): string {
  const short = url.replace(/^.*\/(?=server\/src\/|node_modules\/)/, "");
  return short === "" ? "" : `${short}:${lineNumber + 1}`;
}
