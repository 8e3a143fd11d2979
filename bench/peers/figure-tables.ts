import { medianOf, ownName, ratioTo, showNumber, showRatio } from "./comparison.ts";
import { pipeTable } from "./pipe-table.ts";
import type { Audit, PeerFacts, PeersResult } from "./result.ts";
import { heading, sittings, type Workload } from "./workload.ts";

const workloads = (): readonly Workload[] => sittings.flatMap((sitting) => sitting.workloads);

/** Every figure and finding beside the targets, as Markdown: headings, tables and what is to be known about them. */
export function figureTables(result: PeersResult): string[] {
  const measured = result.peers
    .filter(({ name }) => result.samples.some(({ peer }) => peer === name))
    .toSorted((one, other) => rankOf(result, other) - rankOf(result, one));
  return [
    "### Speed",
    "Medians of all rounds.",
    speedTable(result, measured),
    "How many times faster we are, with the least and the greatest of a round:",
    ratioTable(result, measured),
    "### Costs",
    costTable(result, measured),
    "### What a power cut leaves",
    "Syncs are calls of `fsync`, `fdatasync`, `sync_file_range`, `msync`, `syncfs` and `sync`, counted by strace in a run of its own, of all processes. A mail that was acknowledged with no sync after it is in memory only.",
    durabilityTable(measured),
    "### Settings",
    settingsTable(measured),
    ...unmeasured(result),
  ];
}

/** We come first, then the fastest of what is measured first. */
function rankOf(result: PeersResult, { name }: PeerFacts): number {
  if (name === ownName) return Infinity;
  const [first] = workloads();
  return first === undefined ? 0 : (medianOf(result, name, first.name, first.main) ?? 0);
}

function speedTable(result: PeersResult, peers: readonly PeerFacts[]): string {
  const head = ["", ...workloads().map(({ name, main }) => `${name}, ${main}`)];
  const rows = peers.map(({ name, title }) => [
    title,
    ...workloads().map((workload) => shown(medianOf(result, name, workload.name, workload.main))),
  ]);
  return pipeTable([head, ...rows]);
}

function ratioTable(result: PeersResult, peers: readonly PeerFacts[]): string {
  const others = peers.filter(({ name }) => name !== ownName);
  const rows = others.map(({ name, title }) => [
    title,
    ...workloads().map(({ name: workload, main, isRate }) => {
      const ratio = ratioTo(result, name, { workload, heading: main, isRate });
      return ratio === null ? "" : showRatio(ratio);
    }),
  ]);
  return pipeTable([["", ...workloads().map(({ name }) => name)], ...rows]);
}

function costTable(result: PeersResult, peers: readonly PeerFacts[]): string {
  const head = [
    "",
    "CPU s for 1,000 mails, 4k-50",
    "10k-50",
    "mix-50",
    "peak MiB after 4k-50",
    "dot to 250, 4k-1, p50 ms",
    "4k-50 p99 ms",
    "push-500 p99 ms",
    "p99.9 ms",
    "failed",
  ];
  const cells: readonly (readonly [workload: string, figure: string])[] = [
    ["4k-50", heading.cpu],
    ["10k-50", heading.cpu],
    ["mix-50", heading.cpu],
    ["4k-50", heading.peak],
    ["4k-1", heading.ackP50],
    ["4k-50", heading.ackP99],
    ["push-500", heading.pushP99],
    ["push-500", heading.pushP999],
  ];
  const rows = peers.map(({ name, title }) => [
    title,
    ...cells.map(([workload, figure]) => shown(medianOf(result, name, workload, figure))),
    shown(failuresOf(result, name)),
  ]);
  return pipeTable([head, ...rows]);
}

/** Mails that were not acknowledged, and frames that did not come. */
function failuresOf({ samples }: PeersResult, name: string): number {
  return samples
    .filter(({ peer }) => peer === name)
    .reduce((sum, { figures }) => sum + (figures[heading.failed] ?? 0) + (figures[heading.lost] ?? 0), 0);
}

function durabilityTable(peers: readonly PeerFacts[]): string {
  const head = [
    "",
    "Mails are in",
    "Syncs for 1,000 acknowledged",
    "Stored of acknowledged",
    "Same bytes",
    "After a power cut",
  ];
  const rows = peers.map(({ title, storage, keeps, audit }) => [title, placeOf(storage), ...auditCells(audit), keeps]);
  return pipeTable([head, ...rows]);
}

function placeOf(storage: PeerFacts["storage"]): string {
  return storage === "disk" ? "files" : storage;
}

function auditCells(audit: Audit | null): string[] {
  if (audit === null) return ["not counted", "", ""];
  const { acknowledged, syncs, stored, read, equal } = audit;
  const perThousand = showNumber((syncs * 1000) / Math.max(1, acknowledged));
  if (stored === null) return [perThousand, "cannot be asked", ""];
  return [perThousand, `${stored} of ${acknowledged}`, `${equal} of ${read}`];
}

function settingsTable(peers: readonly PeerFacts[]): string {
  const rows = peers.map(({ title, version, settings }) => [title, version ?? "", settings]);
  return pipeTable([["", "Version", "Beside its defaults"], ...rows]);
}

function unmeasured({ peers }: PeersResult): string[] {
  const faulty = peers.filter(({ fault }) => fault !== null);
  if (faulty.length === 0) return [];
  return ["### Not measured", pipeTable([["", "Why"], ...faulty.map(({ title, fault }) => [title, fault ?? ""])])];
}

function shown(value: number | null): string {
  return value === null ? "" : showNumber(value);
}
