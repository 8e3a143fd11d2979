import type { NewMailbox } from "../../src/store/store.ts";

/** An alias that is a user's for ever, unless some of it is to be different. */
export function newMailbox(given: Pick<NewMailbox, "userId" | "address"> & Partial<NewMailbox>): NewMailbox {
  return {
    kind: "alias",
    nowMs: Date.now(),
    expiresAtMs: null,
    random: false,
    forKeyId: null,
    maxTemp: 0,
    takeReserved: false,
    ...given,
  };
}
