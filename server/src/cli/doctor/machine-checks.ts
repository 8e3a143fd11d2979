import { accessSync, constants, existsSync, statfsSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Config } from "../../config.ts";
import { bytesKeptFree } from "../../mail/disk-space.ts";
import type { Finding } from "./finding.ts";
import { isoTime, sizeText } from "../units.ts";

/** Before this moment there was no such program, so a clock that shows less is wrong. */
const earliestMs = Date.UTC(2026, 0, 1);

/** The Node that runs this. */
export function checkProgram(): Finding {
  return { check: "node", verdict: "good", detail: `${process.versions.node} (${process.execPath})` };
}

/** Is the data directory there, ours alone and writable? */
export function checkDataDir(dataDir: string): { exists: boolean; finding: Finding } {
  const path = resolve(dataDir);
  const exists = existsSync(path);
  return { exists, finding: { check: "data directory", ...judgeDataDir(path, exists) } };
}

function judgeDataDir(path: string, exists: boolean): Pick<Finding, "verdict" | "detail"> {
  const existing = exists ? path : nearestExisting(path);
  try {
    accessSync(existing, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch {
    return { verdict: "bad", detail: `${existing} is not writable for this user` };
  }
  if (!exists) return { verdict: "note", detail: `none at ${path} yet; the first start of the server makes it` };
  const stat = statSync(path);
  if (!stat.isDirectory()) return { verdict: "bad", detail: `${path} is not a directory` };
  // Windows has no such bits.
  const isOpen = process.platform !== "win32" && (stat.mode & 0o077) !== 0;
  if (isOpen) return { verdict: "note", detail: `${path} can be entered by other users; chmod 700 keeps mail private` };
  return { verdict: "good", detail: `${path} is writable, and private` };
}

/** Is there room for mail, and for some time? What the store can use again is not counted. */
export function checkDisk(config: Config): Finding {
  const { bavail, bsize, blocks } = statfsSync(nearestExisting(resolve(config.data_dir)));
  if (blocks === 0) return { check: "disk", verdict: "note", detail: "the file system does not say how much is free" };
  const freeBytes = bavail * bsize;
  const floorBytes = Math.max(config.min_free_bytes, bytesKeptFree(config.smtp_max_message_bytes));
  const detail = `${sizeText(freeBytes)} free`;
  if (freeBytes >= 2 * floorBytes) return { check: "disk", verdict: "good", detail };
  const floor = `new mail is put off below ${sizeText(floorBytes)}`;
  return { check: "disk", verdict: freeBytes < floorBytes ? "bad" : "note", detail: `${detail}; ${floor}` };
}

/** Does the clock show a time that can be? `sinceMs`: a moment that has been. */
export function checkClock(sinceMs: number): Finding {
  const nowMs = Date.now();
  const isWrong = nowMs < Math.max(earliestMs, sinceMs);
  const detail = isWrong ? `${isoTime(nowMs)} is in the past: mail would expire wrongly` : isoTime(nowMs);
  return { check: "clock", verdict: isWrong ? "bad" : "good", detail };
}

function nearestExisting(path: string): string {
  const parent = dirname(path);
  return existsSync(path) || parent === path ? path : nearestExisting(parent);
}
