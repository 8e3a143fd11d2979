import { measureSyncs } from "./disk.ts";
import { median } from "./distribution.ts";

/** Figures of one measurement by their heading, unit included, in the order in which they are shown. */
export type Figures = Record<string, number>;

/** One thing that is measured: a line of the report. */
export interface Case {
  name: string;
  /** Measures once, for so many seconds. */
  run(seconds: number): Promise<Figures>;
}

/** What was measured, and its figures of every round. */
export interface Row {
  name: string;
  rounds: readonly Figures[];
}

export interface Table {
  title: string;
  rows: readonly Row[];
}

export interface Pace {
  /** Times that everything is measured. */
  rounds: number;
  /** Length of one measurement. */
  seconds: number;
  /** Length of the one that does not count; 0: none. */
  warmUpSeconds: number;
}

/** Takes turns, so that a disturbance of the machine falls on all alike; everything runs once before it counts. */
export async function runRounds(cases: readonly Case[], { rounds, seconds, warmUpSeconds }: Pace): Promise<Row[]> {
  const rows = cases.map(({ name }) => ({ name, rounds: [] as Figures[] }));
  if (warmUpSeconds > 0) for (const one of cases) await one.run(warmUpSeconds);
  for (let round = 0; round < rounds; round++) {
    for (const [index, one] of cases.entries()) rows[index]?.rounds.push(await one.run(seconds));
  }
  return rows;
}

/** Median of one figure over the rounds; `null` when it was not measured. */
export function medianOf(row: Row, heading: string): number | null {
  const values = row.rounds.flatMap((figures) => figures[heading] ?? []);
  return values.length === 0 ? null : median(values);
}

/** The median of a figure in whichever table has this row; `null` when none has. */
export function figureOf(tables: readonly Table[], name: string, heading: string): number | null {
  for (const { rows } of tables) {
    const row = rows.find((one) => one.name === name);
    if (row !== undefined) return medianOf(row, heading);
  }
  return null;
}

/** Syncs of the disk as a line of the report: what other lines are held to, measured between them. */
export function syncCase(name: string, dir: string): Case {
  return {
    name,
    run: () => {
      const { fsync, fdatasync } = measureSyncs(dir);
      return Promise.resolve({
        "fsync p50 ms": fsync.p50,
        "fsync p99 ms": fsync.p99,
        "fdatasync p50 ms": fdatasync.p50,
        "fdatasync p99 ms": fdatasync.p99,
      });
    },
  };
}
