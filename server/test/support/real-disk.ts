import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const tmpfsMagic = 0x01021994;

/**
 * A new directory on a disk rather than in memory, where a sync means something: `FAULTS_DIR`, else the system's
 * directory for temporary files, else `/var/tmp`. Goes with everything in it when it is disposed.
 */
export function realDiskDirectory(): { path: string } & Disposable {
  const candidates = [process.env["FAULTS_DIR"], tmpdir(), "/var/tmp"].filter((path) => path !== undefined);
  const parent = candidates.find((path) => statfsSync(path).type !== tmpfsMagic) ?? tmpdir();
  const path = mkdtempSync(join(parent, "catmails-faults-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
