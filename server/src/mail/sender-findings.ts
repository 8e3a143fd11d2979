import type { Authentication } from "../sender/sender.ts";

/** What a reader is shown about who sent a mail. */
export interface ShownAuthentication extends Authentication {
  /**
   * `checked`: what follows was found out. `unchecked`: nobody looked, or not yet, or a crash came in between; every
   * result is then `none`.
   */
  state: "checked" | "unchecked";
  /** It fails, its sender's domain asks not to take such mail, and the domain it was sent to marks it. */
  marked: boolean;
}

/** What to show for what is stored; `null`: nothing is. */
export function shownAuthentication(stored: { marked: boolean; findings: string } | null): ShownAuthentication {
  if (stored === null) {
    return {
      state: "unchecked",
      marked: false,
      spf: { result: "none", domain: null },
      dkim: [],
      dmarc: { result: "none", domain: null, policy: null, aligned: [] },
      arc: { result: "none", sealer: null },
    };
  }
  // Written by this program only.
  const findings = JSON.parse(stored.findings) as Authentication;
  return { state: "checked", marked: stored.marked, ...findings };
}
