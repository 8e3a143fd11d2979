import type { Target } from "./target.ts";

function brokenBy(name: string, check: Target["check"]): Target {
  return { name, promise: "none that is kept", seeds: () => ["a seed of some length"], words: ["x", "yz", "!"], check };
}

/** Targets with one fault each, which the fuzzer must find: the proof that it can. */
export const targets: readonly Target[] = [
  brokenBy("throws", (input) => {
    if (input.includes("yz!")) throw new Error("met what it cannot stand");
  }),
  brokenBy("hangs", (input) => {
    for (let at = 0; input.includes("yzx"); at++) if (at < 0) return;
  }),
  brokenBy("hangs-in-a-pattern", (input) => {
    if (input.includes("yzx")) /^(?:a+)+$/.test(`${"a".repeat(60)}!`);
  }),
  brokenBy("rejects", async (input) => {
    await Promise.resolve();
    if (input.includes("!!")) throw new Error("met what it cannot stand");
  }),
  brokenBy("leaves-a-rejection", (input) => {
    if (input.includes("!!")) void Promise.reject(new Error("nobody waits for this"));
  }),
  brokenBy("never-answers", (input) => (input.includes("zx") ? new Promise<void>(() => undefined) : Promise.resolve())),
];
