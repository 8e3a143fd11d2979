/** What was found out about the sender of one mail. */
export interface SenderRecord {
  userId: number;
  id: number;
  /** One word; lists can be limited to it. */
  dmarc: string;
  /** To be shown as suspicious, by the policy of the domain it was sent to. */
  marked: boolean;
  /** JSON; the store never looks into it. */
  findings: string;
}

export type RuleAction = "allow" | "block";

export type RuleKind = "address" | "domain" | "network";

/** Rules of both lists together: every process holds them in memory. */
export const maxSenderRules = 10_000;

export interface NewSenderRule {
  action: RuleAction;
  kind: RuleKind;
  /** Canonical: an address, a domain name, or a network with its prefix length. */
  value: string;
  nowMs: number;
}

export interface SenderRule {
  id: number;
  action: RuleAction;
  kind: RuleKind;
  value: string;
  createdAtMs: number;
}

/** What a domain does with mail whose sender's domain asks to have it rejected (RFC 9989). */
export type DmarcPolicy = "accept" | "mark" | "refuse";

export interface SenderPolicy {
  revision: number;
  rules: readonly { action: RuleAction; kind: RuleKind; value: string }[];
  /** Domains that do anything but `accept`. */
  domains: readonly { name: string; dmarc: DmarcPolicy }[];
}
