import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { median } from "../distribution.ts";
import type { Storage } from "./peer.ts";

/** Everything that one run saw; what is kept as JSON. */
export interface PeersResult {
  /** As it would be typed, without the paths of one machine. */
  command: string;
  /** Of the machine and the run, for people. */
  facts: Readonly<Record<string, string>>;
  /** A small append and its fdatasync on the disk that was measured, in milliseconds: the median of the rounds' medians. */
  syncMs: number;
  peers: readonly PeerFacts[];
  samples: readonly Sample[];
}

export interface PeerFacts {
  name: string;
  title: string;
  settings: string;
  storage: Storage;
  keeps: string;
  isDurable: boolean;
  /** `null`: never found out. */
  version: string | null;
  /** Why there are no figures, or fewer than of the others; `null`: there are all. */
  fault: string | null;
  /** `null`: it never came to that. */
  audit: Audit | null;
}

/** What a short run of its own, traced, came to. */
export interface Audit {
  acknowledged: number;
  /** Calls that sync, while those mails were taken. */
  syncs: number;
  /** Mails there afterwards; `null`: it cannot be asked. */
  stored: number | null;
  /** Mails read back, and how many of them had the bytes that were sent. */
  read: number;
  equal: number;
}

/** What one workload came to in one round. */
export interface Sample {
  round: number;
  peer: string;
  workload: string;
  /** By heading, unit included. */
  figures: Readonly<Record<string, number>>;
}

/** Writes a result into a directory; answers the path of the file. */
export async function saveResult(result: PeersResult, dir: string): Promise<string> {
  await mkdir(dir, { recursive: true });
  const path = join(dir, `peers-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.json`);
  await writeFile(path, `${JSON.stringify(result, null, 2)}\n`);
  return path;
}

/**
 * Reads results and joins them to one: rounds follow each other, and of each peer the last that was said counts. Results of
 * different machines make no sense together, and nobody would notice.
 */
export async function readResults(paths: readonly string[]): Promise<PeersResult> {
  const results: PeersResult[] = [];
  for (const path of paths) results.push(JSON.parse(await readFile(path, "utf8")) as PeersResult);
  return joinResults(results);
}

function joinResults(results: readonly PeersResult[]): PeersResult {
  const last = results.at(-1);
  if (last === undefined) throw new Error("No result was given");
  const peers = new Map<string, PeerFacts>();
  const samples: Sample[] = [];
  let firstRound = 0;
  for (const result of results) {
    for (const peer of result.peers) peers.set(peer.name, better(peers.get(peer.name), peer));
    samples.push(...result.samples.map((sample) => ({ ...sample, round: sample.round + firstRound })));
    firstRound += 1 + Math.max(-1, ...result.samples.map(({ round }) => round));
  }
  const commands = [...new Set(results.map(({ command }) => command))];
  const syncMs = median(results.map((result) => result.syncMs));
  const pieces = { "Sync of the disk": `${syncMs.toFixed(2)} ms`, Pieces: `${results.length}, joined` };
  const facts = results.length === 1 ? last.facts : { ...last.facts, ...pieces };
  return { command: commands.join("\n"), facts, syncMs, peers: [...peers.values()], samples };
}

/** A peer that was measured in one of the runs was measured. */
function better(one: PeerFacts | undefined, other: PeerFacts): PeerFacts {
  if (one === undefined) return other;
  const [first, second] = other.version === null ? [other, one] : [one, other];
  return { ...first, ...second, audit: second.audit ?? first.audit };
}
