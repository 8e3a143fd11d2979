import type { PeerFacts, PeersResult, Sample } from "../../../bench/peers/result.ts";

/** A result as `npm run bench:peers` keeps it: three rounds of us, Mailpit and smtp-sink, and a peer that was not there. */
export function peersResult(): PeersResult {
  return {
    command: "npm run bench:peers -- --rounds 3",
    facts: { Date: "2026-11-23", Processors: "2 x A processor" },
    syncMs: 0.2,
    peers: [
      { ...facts("catmails", "Cat Mails"), isDurable: true, audit: audit(40) },
      { ...facts("mailpit", "Mailpit"), audit: audit(7) },
      { ...facts("away", "Away"), version: null, fault: "It is not here." },
      { ...facts("smtp-sink", "smtp-sink"), storage: "nowhere" },
    ],
    samples: [
      ...rateSamples("catmails", [9000, 8000, 10_000]),
      ...rateSamples("mailpit", [1000, 1000, 1000]),
      ...rateSamples("smtp-sink", [18_000, 18_000, 18_000]),
    ],
  };
}

/** Samples of the first workload, one for each round. */
export function rateSamples(peer: string, rates: readonly number[]): Sample[] {
  return rates.map((rate, round) => ({
    round,
    peer,
    workload: "4k-50",
    figures: { "mails/s": rate, "CPU s/1,000": 1, failed: 0 },
  }));
}

function facts(name: string, title: string): PeerFacts {
  const rest = { settings: "none", storage: "disk", keeps: "Not all.", isDurable: false, version: "1" } as const;
  return { name, title, ...rest, fault: null, audit: null };
}

function audit(syncs: number): PeerFacts["audit"] {
  return { acknowledged: 2000, syncs, stored: 2000, read: 500, equal: 500 };
}
