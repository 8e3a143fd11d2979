/** Mails a second of a server under the loads that targets speak of. */
export interface Rates {
  kept4: number;
  kept10: number;
  each: number;
}

/**
 * What other servers were seen to take on another machine with two cores, in one run, no pipelining; medians. A peer that is
 * not on this machine is compared through `smtpSink`, which a run here measures too.
 */
export const elsewhere = {
  smtpSink: { kept4: 18_400, kept10: 10_700, each: 8_300 },
  inbucketMemory: { kept4: 10_000, kept10: 7_000, each: 4_200 },
  mailpit: { kept4: 1_410, kept10: 700, each: 1_030, pushMs: { p50: 1.5, p99: 14.5 } },
  postfix: { kept4: 870, kept10: 680, each: 480 },
  obviousNode: { kept4: 1_700, kept10: 1_070, each: 92 },
} as const;
