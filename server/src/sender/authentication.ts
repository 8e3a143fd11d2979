/** What was found out about the sender of a mail. Texts come from strangers; each is at most 255 characters. */
export interface Authentication {
  /** Whether the client may send for the envelope sender's domain (RFC 7208). */
  spf: { result: string; domain: string | null; reason?: string };
  /** One for each signature of the mail, at most {@link maxSignatures} (RFC 6376). */
  dkim: DkimFinding[];
  /** Whether one of the two vouches for the domain that the reader sees in From (RFC 9989). */
  dmarc: {
    result: DmarcResult;
    /** Domain of From. */
    domain: string | null;
    /** What that domain asks to be done with a mail that fails; `null` where it asks for nothing. */
    policy: "none" | "quarantine" | "reject" | null;
    /** Who vouches for it. */
    aligned: ("spf" | "dkim")[];
    reason?: string;
  };
  /** Whether the marks that earlier servers left are unbroken (RFC 8617). Says nothing about whether they tell the truth. */
  arc: { result: string; sealer: string | null; reason?: string };
}

export interface DkimFinding {
  result: string;
  domain: string | null;
  selector: string | null;
  reason?: string;
}

/** `temperror`: the DNS did not say in time. `permerror`: From names no domain, or several. */
export type DmarcResult = "pass" | "fail" | "none" | "temperror" | "permerror";

/** Every {@link DmarcResult}. */
export const dmarcResults: readonly DmarcResult[] = ["pass", "fail", "none", "temperror", "permerror"];

/** Signatures of one mail that are looked at. Real mails have one to four. */
export const maxSignatures = 20;

/** A mail whose sender is to be checked, as it came in. */
export interface CheckedMail {
  raw: Uint8Array;
  /** Envelope sender; "" for the null reverse-path, for which the client's name stands in (RFC 7208 section 2.4). */
  envelopeFrom: string;
  ip: string;
  helo: string;
}

/** What a check answers when it could not be made in time. */
export function temporaryError(reason: string): Authentication {
  return {
    spf: { result: "temperror", domain: null, reason },
    dkim: [],
    dmarc: { result: "temperror", domain: null, policy: null, aligned: [], reason },
    arc: { result: "temperror", sealer: null, reason },
  };
}
