import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { realDiskDirectory } from "../../support/temporary-directory.ts";
import { until } from "../../support/until.ts";
import type { Fault, Trial } from "../fault.ts";
import { addFindings, describeFindings, noFindings, type Findings } from "../findings.ts";
import { Rig } from "../rig.ts";
import { canTrace, straceCommand } from "../strace-file.ts";

const program = "lazyfs";
const patienceMs = 60_000;

/** LazyFS (https://github.com/dsrhaslab/lazyfs): a file system that keeps what is not synced in memory and forgets it. */
export const lazyDisk: Fault = {
  name: "lazyfs",
  about: "power loss on LazyFS: a kill, and all that was not synced is forgotten",
  obstacle: () => {
    if (spawnSync(program, ["--version"]).error !== undefined) return `no program ${program} is on the PATH`;
    return canTrace() ? null : "strace, which the control needs, is not installed, or may not trace here";
  },
  times: (cycles) => Math.max(1, Math.round(cycles / 40)),
  inflict: (trial) => forgetAgainAndAgain(trial),
  control: {
    about: "the same under a server whose syncs do nothing",
    inflict: (trial) =>
      forgetAgainAndAgain({ ...trial, times: 1 }, () =>
        straceCommand("fsync,fdatasync", "/dev/null", ["-e", "inject=fsync,fdatasync:retval=0"]),
      ),
  },
};

async function forgetAgainAndAgain(trial: Trial, under: () => readonly string[] = () => []): Promise<Findings> {
  const sum = noFindings();
  for (let done = 0; done < trial.times && !trial.signal.aborted; done++) {
    await using disk = await LazyDisk.mount(trial.parent);
    await using rig = await Rig.make({ ...trial, dataDir: disk.dataDir });
    {
      await using service = await rig.serve({ under: under() });
      const load = rig.load(service);
      const goal = rig.random.integer(200, 800);
      await load.reaches(({ acknowledged }) => acknowledged >= goal, patienceMs);
      await rig.kill(service, load);
    }
    await disk.forget();
    const findings = await rig.judge().catch((error: unknown) => ({ ...noFindings(), broken: [String(error)] }));
    trial.say(`lazyfs ${done + 1} of ${trial.times}: ${describeFindings(findings)}`);
    addFindings(sum, { ...findings, times: 1 });
  }
  return sum;
}

class LazyDisk implements AsyncDisposable {
  readonly dataDir: string;
  readonly #directory: { path: string } & Disposable;
  readonly #process: ChildProcess;

  private constructor(directory: { path: string } & Disposable, child: ChildProcess) {
    this.#directory = directory;
    this.#process = child;
    this.dataDir = join(directory.path, "mounted/data");
  }

  static async mount(parent: string | undefined): Promise<LazyDisk> {
    const directory = realDiskDirectory(parent);
    const path = (name: string): string => join(directory.path, name);
    for (const name of ["mounted", "below"]) mkdirSync(path(name));
    const config = [
      "[faults]",
      `fifo_path="${path("faults")}"`,
      `fifo_path_completed="${path("completed")}"`,
      "[cache]",
      "apply_eviction=false",
      "[cache.simple]",
      `custom_size="0.5GB"`,
      "blocks_per_page=1",
      "[filesystem]",
      "log_all_operations=false",
      `logfile="${path("log")}"`,
    ];
    writeFileSync(path("config.toml"), config.join("\n"));
    const options = ["-o", "modules=subdir", "-o", `subdir=${path("below")}`, "-f"];
    const child = spawn(program, [path("mounted"), "--config-path", path("config.toml"), ...options], {
      stdio: "ignore",
    });
    const disk = new LazyDisk(directory, child);
    await until("LazyFS is mounted", () => {
      if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}`);
      return spawnSync("mountpoint", ["-q", path("mounted")]).status === 0 && existsSync(path("faults"));
    });
    return disk;
  }

  /** Drops everything that was not synced; resolves once it is done. */
  async forget(): Promise<void> {
    const completed = open(join(this.#directory.path, "completed"), "r");
    await using faults = await open(join(this.#directory.path, "faults"), "w");
    await faults.write("lazyfs::clear-cache\n");
    await using answers = await completed;
    await answers.read(Buffer.alloc(100));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = this.#process.exitCode === null ? once(this.#process, "exit") : null;
    execFileSync("umount", ["--lazy", join(this.#directory.path, "mounted")]);
    await gone;
    this.#directory[Symbol.dispose]();
  }
}
