import { intakeNames, onSink } from "./intake-cases.ts";
import { figureOf, type Table } from "./measurement.ts";
import type { Options } from "./options.ts";
import { elsewhere, type Rates } from "./peer-figures.ts";
import { pushNames } from "./push-cases.ts";
import { readingName } from "./reading-cases.ts";
import { retentionNames } from "./retention-cases.ts";
import { socketNames } from "./socket-cases.ts";
import { startName } from "./start-cases.ts";

/** One line of what the program has to reach. */
export interface Verdict {
  what: string;
  target: string;
  /** What was seen, with its unit; `null`: this run did not measure it. */
  seen: string | null;
  reached: boolean;
  /** What the line does not say by itself. */
  note: string;
}

/** Medians of a run by row and heading; a target that asks for one that is not there was not measured. */
type Find = (name: string, heading: string) => number;

interface Judgement {
  seen: string;
  reached: boolean;
}

interface Target {
  what: string;
  target: string;
  note?: string;
  judge(find: Find): Judgement;
}

class NotMeasured extends Error {}

/** Holds a run's medians to the targets, each in a line, in the order of the targets. */
export function judge(tables: readonly Table[], { storeSizes, sockets }: Options): Verdict[] {
  const find: Find = (name, heading) => {
    const value = figureOf(tables, name, heading);
    if (value === null) throw new NotMeasured(`${name}: ${heading}`);
    return value;
  };
  const small = Math.min(...storeSizes);
  const big = Math.max(...storeSizes);
  const targets = [...intakeTargets(), ...pushTargets(), ...readingTargets(small, big), ...otherTargets(big, sockets)];
  return targets.map((one) => {
    const { what, target, note = "" } = one;
    try {
      return { what, target, note, ...one.judge(find) };
    } catch (error) {
      if (!(error instanceof NotMeasured)) throw error;
      return { what, target, note, seen: null, reached: false };
    }
  });
}

const throughSink = "through the ratio to smtp-sink, with figures of another machine";
const onlyPeers = "npm run bench:peers measures it";

function intakeTargets(): Target[] {
  return [
    ...peerTargets("Mailpit, not synced", elsewhere.mailpit, { kept4: 8, kept10: 10, each: 3 }),
    ...peerTargets("Postfix, synced", elsewhere.postfix, { kept4: 10, kept10: 10 }),
    ...peerTargets("obvious Node, synced", elsewhere.obviousNode, { kept4: 6, kept10: 6, each: 30 }),
    ...peerTargets("Inbucket in memory, keeps nothing", elsewhere.inbucketMemory, { kept4: 1, kept10: 1, each: 0.8 }),
    {
      what: "4 KB, 50 kept: share of our SMTP engine that discards",
      target: "at least 50 %",
      judge: (find) => {
        const share = (100 * find(intakeNames.kept4, "mails/s")) / find(intakeNames.discard, "mails/s");
        return { seen: `${share.toFixed(0)} %`, reached: share >= 50 };
      },
    },
    {
      what: "mix, against the best peer that writes to disk",
      target: "at least 3 times",
      note: onlyPeers,
      judge: () => {
        throw new NotMeasured("peers");
      },
    },
    {
      what: "one connection, dot to 250",
      target: "at most 1.2 syncs + 0.4 ms",
      judge: (find) => {
        const seen = find(intakeNames.alone, "ack p50 ms");
        const limit = 1.2 * find(intakeNames.sync, "fdatasync p50 ms") + 0.4;
        return { seen: `${milliseconds(seen)} of ${milliseconds(limit)}`, reached: seen <= limit };
      },
    },
  ];
}

/** One line for each load that a factor is given for. */
function peerTargets(peer: string, rates: Rates, factors: Partial<Rates>): Target[] {
  const loads = ["kept4", "kept10", "each"] as const;
  return loads.flatMap((load) => {
    const factor = factors[load];
    if (factor === undefined) return [];
    const name = intakeNames[load];
    return {
      what: `${name}, against ${peer}`,
      target: `at least ${factor} times`,
      note: throughSink,
      judge: (find: Find) => {
        const toSink = find(name, "mails/s") / find(onSink(name), "mails/s");
        const seen = toSink / (rates[load] / elsewhere.smtpSink[load]);
        return { seen: `${seen.toFixed(seen < 10 ? 2 : 1)} times`, reached: seen >= factor };
      },
    };
  });
}

function pushTargets(): Target[] {
  const limits = [
    { heading: "push p50 ms", short: "p50", target: "under 1 sync + 1 ms", syncs: 1, more: 1 },
    { heading: "p99 ms", short: "p99", target: "under 3 syncs + 5 ms", syncs: 3, more: 5 },
    { heading: "p99.9 ms", short: "p99.9", target: "under 50 ms", syncs: 0, more: 50 },
  ];
  const atHalf = limits.map(({ heading, short, target, syncs, more }) => ({
    what: `dot to WebSocket at ${pushNames.half}, ${short}`,
    target,
    judge: (find: Find): Judgement => {
      const seen = find(pushNames.half, heading);
      const limit = syncs * find(pushNames.sync, "fdatasync p50 ms") + more;
      return { seen: `${milliseconds(seen)} of ${milliseconds(limit)}`, reached: seen < limit };
    },
  }));
  const { pushMs } = elsewhere.mailpit;
  const steady = (
    [
      ["push p50 ms", "p50", pushMs.p50],
      ["p99 ms", "p99", pushMs.p99],
    ] as const
  ).map(([heading, short, mailpit]) => ({
    what: `dot to WebSocket at ${pushNames.steady}, ${short}`,
    target: `at most half of Mailpit's ${mailpit} ms`,
    note: "Mailpit's time is one of another machine",
    judge: (find: Find): Judgement => {
      const seen = find(pushNames.steady, heading);
      return { seen: milliseconds(seen), reached: seen <= mailpit / 2 };
    },
  }));
  return [...atHalf, ...steady];
}

function readingTargets(small: number, big: number): Target[] {
  const wanted = 10_000_000;
  const smaller = big < wanted ? `with ${inWords(big)} for ${inWords(wanted)}: --full measures that` : "";
  // A million where there are more: that is what the target speaks of.
  const million = Math.min(big, 1_000_000);
  return [
    {
      what: `getmails, newest 20 of ${inWords(million)}`,
      target: "at least 8000 requests a second",
      judge: (find) => {
        const seen = find(readingName("newest 20", million), "requests/s");
        return { seen: seen.toFixed(0), reached: seen >= 8_000 };
      },
    },
    {
      what: "getmails against Mailpit's list",
      target: "at least 5 times",
      note: onlyPeers,
      judge: () => {
        throw new NotMeasured("peers");
      },
    },
    ...(["newest 20", "one mail"] as const).map((what) => ({
      what: `${what}, p99: ${inWords(big)} against ${inWords(small)} stored`,
      target: "at most 1.3 times",
      note: smaller,
      judge: (find: Find): Judgement => {
        const seen = find(readingName(what, big), "p99 ms") / find(readingName(what, small), "p99 ms");
        return { seen: `${seen.toFixed(2)} times`, reached: seen <= 1.3 };
      },
    })),
    {
      what: `page in the middle against the first, ${inWords(big)} stored`,
      target: "at most 1.1 times",
      note: smaller,
      judge: (find) => {
        const newest = find(readingName("newest 20", big), "p50 ms");
        const seen = find(readingName("middle 20", big), "p50 ms") / newest;
        return { seen: `${seen.toFixed(2)} times`, reached: seen <= 1.1 };
      },
    },
  ];
}

function otherTargets(big: number, sockets: number): Target[] {
  const note = big < 10_000_000 ? "fewer mails than 10 million: --full measures that" : "";
  const clean = startName("after a clean stop", big);
  return [
    {
      what: `memory of an idle subscriber, of ${sockets}`,
      target: "at most 12 KiB",
      judge: (find) => {
        const seen = find(socketNames.idle, "KiB each");
        return { seen: `${seen.toFixed(1)} KiB`, reached: seen <= 12 };
      },
    },
    {
      what: "intake with retention on against off",
      target: "at least 0.85 times",
      judge: (find) => {
        const seen = find(retentionNames.on, "mails/s") / find(retentionNames.off, "mails/s");
        return { seen: `${seen.toFixed(2)} times`, reached: seen >= 0.85 };
      },
    },
    {
      what: `cold start to ready, ${inWords(big)} mails`,
      target: "under 400 ms",
      note,
      judge: (find) => {
        const seen = find(clean, "ready ms");
        return { seen: milliseconds(seen), reached: seen < 400 };
      },
    },
    {
      what: `idle memory, ${inWords(big)} mails`,
      target: "under 115 MB",
      note,
      judge: (find) => {
        const seen = (find(clean, "idle MiB") * 1024 ** 2) / 1e6;
        return { seen: `${seen.toFixed(0)} MB`, reached: seen < 115 };
      },
    },
  ];
}

function milliseconds(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 0)} ms`;
}

function inWords(count: number): string {
  return count >= 1_000_000 ? `${count / 1_000_000} million` : String(count);
}
