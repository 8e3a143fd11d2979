import type { Fault } from "../fault.ts";
import { backupUnderLoad } from "./backup-under-load.ts";
import { clockJumps } from "./clock-jumps.ts";
import { descriptorLimit } from "./descriptor-limit.ts";
import { failingSyncs, failingWrites } from "./failing-disk.ts";
import { fullDisk } from "./full-disk.ts";
import { halfMigration } from "./half-migration.ts";
import { kill } from "./kill.ts";
import { lazyDisk } from "./lazy-disk.ts";
import { logTail } from "./log-tail.ts";
import { powerLoss } from "./power-loss.ts";
import { stopSignal } from "./stop-signal.ts";

/** The process or the machine goes, and with it what was not synced. */
export const crashes: readonly Fault[] = [kill, powerLoss, lazyDisk, logTail];
/** The machine lacks something, or its disk fails. */
export const shortages: readonly Fault[] = [failingSyncs, failingWrites, fullDisk, descriptorLimit];
/** What operators and clocks do. */
export const upkeep: readonly Fault[] = [clockJumps, stopSignal, halfMigration, backupUnderLoad];

/** Every kind of fault, in the order in which they are inflicted and reported. */
export const allFaults: readonly Fault[] = [...crashes, ...shortages, ...upkeep];
