import { closeSync, fdatasyncSync, fsyncSync, openSync, unlinkSync, writeSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { distribution, type Distribution } from "./distribution.ts";

const syncs = 100;
const blockBytes = 4096;

/** A new directory for one run, removed with everything in it at the end. */
export class Workplace implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Makes it below `parent`; without one below the first temporary directory that is on a disk, not in memory. */
  static async make(parent: string | null): Promise<Workplace> {
    return new Workplace(await mkdtemp(join(parent ?? (await findDiskDirectory()), "catmails-bench-")));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

/**
 * Milliseconds that a small append and its sync take in a directory, by each of the two calls: what one group commit costs at
 * the least. Blocks meanwhile, so that nothing but the disk is measured.
 */
export function measureSyncs(dir: string): { fsync: Distribution; fdatasync: Distribution } {
  return { fsync: measureAppends(dir, fsyncSync), fdatasync: measureAppends(dir, fdatasyncSync) };
}

function measureAppends(dir: string, sync: (file: number) => void): Distribution {
  const path = join(dir, "sync-probe");
  const file = openSync(path, "wx");
  const block = Buffer.alloc(blockBytes, 1);
  const times: number[] = [];
  try {
    for (let done = 0; done < syncs; done++) {
      const startMs = performance.now();
      writeSync(file, block);
      sync(file);
      times.push(performance.now() - startMs);
    }
  } finally {
    closeSync(file);
    unlinkSync(path);
  }
  return distribution(times);
}

async function findDiskDirectory(): Promise<string> {
  for (const dir of [tmpdir(), "/var/tmp"]) if (!(await isInMemory(dir))) return dir;
  throw new Error("No temporary directory on a disk was found: name one with --dir");
}

/** Reads the mounts that Linux shows; elsewhere nothing is known and a disk is assumed. */
async function isInMemory(dir: string): Promise<boolean> {
  const mounts = await readFile("/proc/mounts", "utf8").catch(() => "");
  const path = `${resolve(dir)}/`;
  const above = mounts
    .split("\n")
    .map((line) => line.split(" "))
    .map(([, at = "", kind = ""]) => ({ at: at.endsWith("/") ? at : `${at}/`, kind }))
    .filter(({ at }) => path.startsWith(at))
    .toSorted((a, b) => b.at.length - a.at.length);
  return ["tmpfs", "ramfs"].includes(above[0]?.kind ?? "");
}
