import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

const tmpfsMagic = 0x01021994;

/** A new directory, which goes with everything in it when it is disposed. */
export class TemporaryDirectory implements Disposable {
  readonly path: string;

  constructor(parent = tmpdir()) {
    this.path = mkdtempSync(join(parent, "catmails-test-"));
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Path of a new directory that goes with a test. */
export function directoryFor(t: TestContext): string {
  const directory = new TemporaryDirectory();
  t.after(() => directory[Symbol.dispose]());
  return directory.path;
}

/**
 * A new directory on a disk rather than in memory, where a sync means something: in `parent`, else in `FAULTS_DIR`, else
 * in the system's directory for temporary files, else in `/var/tmp`.
 */
export function realDiskDirectory(parent = process.env["FAULTS_DIR"]): TemporaryDirectory {
  const candidates = [parent, tmpdir(), "/var/tmp"].filter((path) => path !== undefined);
  return new TemporaryDirectory(candidates.find((path) => statfsSync(path).type !== tmpfsMagic));
}
