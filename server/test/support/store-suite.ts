import { describe } from "node:test";
import { contentTests } from "./store-suite-contents.ts";
import { directoryTests } from "./store-suite-directory.ts";
import { intakeTests } from "./store-suite-intake.ts";
import { listTests } from "./store-suite-lists.ts";
import { removalTests } from "./store-suite-removal.ts";
import { senderTests } from "./store-suite-senders.ts";
import type { StoreEngine } from "./store-place.ts";

/** The store contract as tests. Every engine runs all of it. */
export function storeSuite(engine: StoreEngine): void {
  describe(`the store contract, kept by ${engine.name}`, () => {
    directoryTests(engine);
    intakeTests(engine);
    contentTests(engine);
    listTests(engine);
    removalTests(engine);
    senderTests(engine);
  });
}
