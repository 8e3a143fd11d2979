import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ContentPlace, NewMail } from "../src/store/store.ts";
import { placeInRaw } from "../src/store/sqlite/content-in-raw.ts";
import { packJobs, unpackJobs } from "../src/store/sqlite/packed-jobs.ts";
import type { Job } from "../src/store/sqlite/writer-messages.ts";

const word = fc.string({ maxLength: 20, unit: "grapheme" });
const origin = fc.record({
  ip: fc.constantFrom("192.0.2.1", "2001:db8::1", "local"),
  helo: word,
  transmission: fc.constantFrom("ESMTP" as const, "LMTPS" as const),
});
const recipient = fc.record({ userId: fc.nat(), mailboxId: fc.nat(), mailTo: word });
/** Alone in their buffer, in the middle of another one, and so large that their buffer goes along. */
const raw = fc.oneof(
  fc.uint8Array({ maxLength: 50 }).map((bytes) => new Uint8Array(bytes)),
  fc.uint8Array({ minLength: 4, maxLength: 50 }).map((bytes) => new Uint8Array(bytes).subarray(1, -1)),
  fc.integer({ min: 65_530, max: 65_540 }).map((length) => new Uint8Array(length).fill(length & 0xff)),
);
const contentAt: fc.Arbitrary<ContentPlace | null> = fc.option(
  fc.record({ start: fc.nat(20), end: fc.integer({ min: 20, max: 50 }) }),
);
const mail = fc.record<Required<NewMail>>({
  raw,
  contentAt,
  envelopeFrom: word,
  mailFrom: word,
  subject: word,
  content: fc.option(word),
  receivedAtMs: fc.nat(),
  defects: fc.array(word, { maxLength: 2 }),
  origin: fc.option(origin),
  recipients: fc.array(recipient, { minLength: 1, maxLength: 3 }),
});
const job: fc.Arbitrary<Job> = fc.oneof(
  mail.map((value) => ({ kind: "mail" as const, mail: value })),
  fc.nat().map((nowMs) => ({ kind: "call" as const, name: "purge" as const, input: { nowMs, limit: 1 } })),
);

/** Content that is to be found in raw does not go along. */
function asItArrives(one: Job): Job {
  if (one.kind === "call") return one;
  const place = placeInRaw(one.mail);
  return { kind: one.kind, mail: { ...one.mail, contentAt: place, content: place === null ? one.mail.content : null } };
}

test("jobs reach the writer's thread as they were, whatever the size of their mails", () => {
  fc.assert(
    fc.property(fc.array(job, { maxLength: 12 }), (jobs) => {
      const expected = structuredClone(jobs).map(asItArrives);
      const { packed, transfers } = packJobs(jobs);
      const arrived = unpackJobs(structuredClone(packed, { transfer: transfers }));
      assert.deepEqual(
        arrived.map((each) => (each.kind === "mail" ? { kind: each.kind, mail: each.mail } : each)),
        expected,
      );
    }),
  );
});

test("memory that is freed after a job belongs to no later one", () => {
  fc.assert(
    fc.property(fc.array(job, { maxLength: 12 }), (jobs) => {
      const arrived = unpackJobs(packJobs(jobs).packed);
      const freed = new Set<ArrayBufferLike>();
      for (const each of arrived) {
        if (each.kind !== "mail") continue;
        assert.ok(!freed.has(each.mail.raw.buffer));
        if (each.ends !== undefined) freed.add(each.ends.buffer);
      }
      assert.ok(arrived.every((each) => each.kind !== "mail" || freed.has(each.mail.raw.buffer)));
    }),
  );
});
