import { elsewhere, type Rates } from "../peer-figures.ts";
import { medianOf, ownName, ratioTo, showNumber, showRatio } from "./comparison.ts";
import type { PeersResult } from "./result.ts";
import { heading } from "./workload.ts";

export type Verdict = "reached" | "missed" | "not measured";

/** A promise about us beside the others, and what became of it. */
export interface TargetLine {
  what: string;
  target: string;
  found: string;
  verdict: Verdict;
}

interface RatioTarget {
  workload: string;
  peer: string;
  least: number;
  /** What is aimed for beyond that. */
  aim?: number;
  heading?: string;
}

const rateTargets: readonly RatioTarget[] = [
  { workload: "4k-50", peer: "mailpit", least: 8, aim: 10 },
  { workload: "10k-50", peer: "mailpit", least: 10, aim: 12 },
  { workload: "4k-50", peer: "postfix", least: 10 },
  { workload: "10k-50", peer: "postfix", least: 10 },
  { workload: "4k-50", peer: "obvious-node", least: 6 },
  { workload: "10k-50", peer: "obvious-node", least: 6 },
  { workload: "4k-50", peer: "inbucket-memory", least: 1, aim: 1.3 },
  { workload: "10k-50", peer: "inbucket-memory", least: 1, aim: 1.3 },
  { workload: "4k-each-10", peer: "mailpit", least: 3 },
  { workload: "4k-each-10", peer: "obvious-node", least: 30 },
  { workload: "4k-each-10", peer: "inbucket-memory", least: 0.8, aim: 1 },
  { workload: "list-20", peer: "mailpit", least: 5, heading: heading.requestsPerSecond },
];

const pushTargets: readonly RatioTarget[] = [
  { workload: "push-500", peer: "mailpit", least: 2, heading: heading.pushP50 },
  { workload: "push-500", peer: "mailpit", least: 2, heading: heading.pushP99 },
];

const keysElsewhere: Readonly<Record<string, keyof Rates>> = {
  "4k-50": "kept4",
  "10k-50": "kept10",
  "4k-each-10": "each",
};
const ratesElsewhere: Readonly<Record<string, Rates>> = {
  mailpit: elsewhere.mailpit,
  "inbucket-memory": elsewhere.inbucketMemory,
  postfix: elsewhere.postfix,
  "obvious-node": elsewhere.obviousNode,
};

const mixWorkload = "mix-50";
const leastMixRatio = 3;

/** Every target that peers or the disk decide, with its verdict. */
export function judgeTargets(result: PeersResult): TargetLine[] {
  return [
    ...rateTargets.map((target) => judgeRatio(result, target, true)),
    judgeMix(result),
    judgeSingle(result),
    ...pushTargets.map((target) => judgeRatio(result, target, false)),
  ];
}

function judgeRatio(result: PeersResult, target: RatioTarget, isRate: boolean): TargetLine {
  const { workload, peer, least, aim } = target;
  const compared = target.heading ?? heading.mailsPerSecond;
  const line = {
    what: `${workload}, ${compared}, against ${titleOf(result, peer)}`,
    target: `${least} times${aim === undefined ? "" : `, aim ${aim}`}`,
  };
  const ratio = ratioTo(result, peer, { workload, heading: compared, isRate });
  if (ratio !== null) return { ...line, found: showRatio(ratio), verdict: verdictOf(ratio.ofMedians >= least) };
  const estimate = isRate ? estimatedRatio(result, peer, workload) : null;
  if (estimate === null) return { ...line, found: "", verdict: "not measured" };
  const found = `${showNumber(estimate)}, estimated by smtp-sink from an earlier run`;
  return { ...line, found, verdict: verdictOf(estimate >= least) };
}

/** A peer that is not on this machine stands to smtp-sink as it did once. */
function estimatedRatio(result: PeersResult, peer: string, workload: string): number | null {
  const toSink = ratioTo(result, "smtp-sink", { workload, heading: heading.mailsPerSecond, isRate: true });
  const key = keysElsewhere[workload];
  const rates = ratesElsewhere[peer];
  if (toSink === null || key === undefined || rates === undefined) return null;
  return toSink.ofMedians * (elsewhere.smtpSink[key] / rates[key]);
}

function judgeMix(result: PeersResult): TargetLine {
  const rates = result.peers
    .filter(({ name, storage }) => name !== ownName && storage === "disk")
    .map(({ name }) => ({ name, rate: medianOf(result, name, mixWorkload, heading.mailsPerSecond) ?? 0 }))
    .filter(({ rate }) => rate > 0)
    .toSorted((a, b) => b.rate - a.rate);
  const what = `${mixWorkload}, ${heading.mailsPerSecond}, against the best peer that writes to disk`;
  const line = { what, target: `${leastMixRatio} times` };
  const [best] = rates;
  const compared = { workload: mixWorkload, heading: heading.mailsPerSecond, isRate: true };
  const ratio = best === undefined ? null : ratioTo(result, best.name, compared);
  if (best === undefined || ratio === null) return { ...line, found: "", verdict: "not measured" };
  const found = `${showRatio(ratio)}, ${titleOf(result, best.name)}`;
  return { ...line, found, verdict: verdictOf(ratio.ofMedians >= leastMixRatio) };
}

function judgeSingle(result: PeersResult): TargetLine {
  const line = { what: "4k-1, dot to 250", target: "1.2 times one sync + 0.4 ms" };
  const foundMs = medianOf(result, ownName, "4k-1", heading.ackP50);
  if (foundMs === null) return { ...line, found: "", verdict: "not measured" };
  const mostMs = 1.2 * result.syncMs + 0.4;
  const found = `${showNumber(foundMs)} ms of ${showNumber(mostMs)} ms`;
  return { ...line, found, verdict: verdictOf(foundMs <= mostMs) };
}

function verdictOf(isReached: boolean): Verdict {
  return isReached ? "reached" : "missed";
}

function titleOf({ peers }: PeersResult, name: string): string {
  return peers.find((peer) => peer.name === name)?.title ?? name;
}
