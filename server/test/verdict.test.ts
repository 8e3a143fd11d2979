import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { readLedger, type Attempt, type AttemptState, type LedgerEntry } from "./faults/ledger.ts";
import { faultless, judge, type FoundMail, type PushedMail, type Verdict } from "./faults/verdict.ts";
import { directoryFor } from "./support/temporary-directory.ts";

const owners = new Map([
  ["ann@x.example", "ann@x.example"],
  ["bob@x.example", "bob@x.example"],
]);
const found: FoundMail = { token: "t", sha256: "good", mailTo: "ann@x.example", owner: "ann@x.example", id: 1 };
const again: FoundMail = { ...found, id: 2 };
const elsewhere: FoundMail = { ...found, mailTo: "bob@x.example", owner: "bob@x.example" };
const both = ["ann@x.example", "bob@x.example"];

interface Case {
  name: string;
  /** How each try to hand the mail over ended. */
  tries: AttemptState[];
  to?: string[];
  found: FoundMail[];
  verdict?: Partial<Verdict>;
  repeated?: string[];
}

const cases: readonly Case[] = [
  { name: "acknowledged and there", tries: ["acknowledged"], found: [found] },
  {
    name: "acknowledged and not there",
    tries: ["acknowledged"],
    found: [],
    verdict: { lost: ["t ann@x.example"] },
  },
  {
    name: "acknowledged for two and there for one",
    tries: ["acknowledged"],
    to: both,
    found: [found],
    verdict: { lost: ["t bob@x.example"] },
  },
  {
    name: "acknowledged and there with other bytes",
    tries: ["acknowledged"],
    found: [{ ...found, sha256: "bad" }],
    verdict: { corrupt: ["t"] },
  },
  {
    name: "acknowledged once and there twice",
    tries: ["acknowledged"],
    found: [found, again],
    verdict: { duplicate: ["t ann@x.example"] },
  },
  {
    name: "in a mailbox it was not for",
    tries: ["acknowledged"],
    found: [found, elsewhere],
    verdict: { misrouted: ["t bob@x.example"] },
  },
  {
    name: "in another user's feed",
    tries: ["acknowledged"],
    found: [found, { ...found, owner: "bob@x.example" }],
    verdict: { misrouted: ["t ann@x.example"] },
  },
  { name: "without a reply and there", tries: ["unknown"], found: [found] },
  { name: "without a reply and not there", tries: ["unknown"], found: [] },
  {
    name: "without a reply and there twice",
    tries: ["unknown"],
    found: [found, again],
    verdict: { duplicate: ["t ann@x.example"] },
  },
  {
    name: "without a reply and there for one of two",
    tries: ["unknown"],
    to: both,
    found: [found],
    verdict: { torn: ["t"] },
  },
  { name: "refused and there", tries: ["refused"], found: [found], verdict: { phantom: ["t"] } },
  { name: "never finished and there", tries: ["begun"], to: [], found: [found], verdict: { phantom: ["t"] } },
  {
    name: "never sent and there",
    tries: ["acknowledged"],
    found: [found, { ...found, token: "u" }],
    verdict: { phantom: ["u"] },
  },
  {
    name: "sent again after an unseen reply, and hidden",
    tries: ["unknown", "acknowledged"],
    found: [found],
  },
  {
    name: "sent again after an unseen reply, and there twice",
    tries: ["unknown", "acknowledged"],
    found: [found, again],
    repeated: ["t ann@x.example"],
  },
  {
    name: "sent again after an unseen reply, and there three times",
    tries: ["unknown", "acknowledged"],
    found: [found, again, { ...found, id: 3 }],
    verdict: { duplicate: ["t ann@x.example"] },
  },
  {
    name: "sent again after an unseen reply, and there twice for one of two",
    tries: ["unknown", "acknowledged"],
    to: both,
    found: [found, again, elsewhere],
    verdict: { torn: ["t"] },
    repeated: ["t ann@x.example"],
  },
  { name: "acknowledged twice and there twice", tries: ["acknowledged", "acknowledged"], found: [found, again] },
  {
    name: "acknowledged twice and there once",
    tries: ["acknowledged", "acknowledged"],
    found: [found],
    verdict: { lost: ["t ann@x.example"] },
  },
  { name: "refused and then acknowledged", tries: ["refused", "acknowledged"], found: [found] },
];

describe("a mail is judged by what its sender knows of it", () => {
  for (const { name, tries, to = ["ann@x.example"], found: mails, verdict = {}, repeated = [] } of cases) {
    test(name, () => {
      const attempts = tries.map((state): Attempt => ({ recipients: to, state }));
      const entry: LedgerEntry = { token: "t", sha256: "good", attempts };
      assert.deepEqual(judge({ ledger: new Map([["t", entry]]), found: mails, owners, pushed: null }), {
        verdict: { ...faultless, ...verdict },
        repeated,
      });
    });
  }
});

describe("a push is judged by what is stored", () => {
  const first: PushedMail = { owner: "ann@x.example", id: 1, token: "t" };
  const second: PushedMail = { ...first, id: 2 };
  const pushes: readonly { name: string; pushed: PushedMail[]; missed: string[] }[] = [
    { name: "each once and in order", pushed: [first, second], missed: [] },
    { name: "one never", pushed: [first], missed: ["ann@x.example 2"] },
    { name: "one twice", pushed: [first, first, second], missed: ["ann@x.example 1"] },
    { name: "out of order", pushed: [second, first], missed: ["ann@x.example 1", "ann@x.example 1"] },
    {
      name: "as another mail",
      pushed: [first, { ...second, token: "u" }],
      missed: ["ann@x.example 2", "ann@x.example 2"],
    },
    { name: "and then not there", pushed: [first, second, { ...first, id: 3 }], missed: ["ann@x.example 3"] },
  ];
  for (const { name, pushed, missed } of pushes) {
    test(name, () => {
      const attempts: Attempt[] = [1, 2].map(() => ({ recipients: ["ann@x.example"], state: "acknowledged" }));
      const ledger = new Map([["t", { token: "t", sha256: "good", attempts }]]);
      const { verdict } = judge({ ledger, found: [found, again], owners, pushed });
      assert.deepEqual(verdict, { ...faultless, missed });
    });
  }
});

test("a ledger tells how each try ended", (t) => {
  const path = join(directoryFor(t), "ledger");
  const begun = { event: "begun", token: "t", sha256: "good" };
  const dotted = { event: "dotted", token: "t", recipients: ["ann@x.example"] };
  const answered = (reply: string) => ({ event: "answered", token: "t", reply });
  const lines = [
    ...[begun, answered("452 4.3.1 No room for this mail now, try again")],
    ...[begun, dotted, answered("451 4.3.0 Our fault, try again")],
    ...[begun, dotted],
    ...[begun, dotted, answered("250 2.0.0 receipt")],
    ...[begun, dotted, answered("554 5.6.0 Mail holds a bare CR or LF, lines end with CRLF")],
    begun,
  ];
  writeFileSync(path, lines.map((line) => JSON.stringify(line)).join("\n"));
  const states = readLedger(path)
    .get("t")
    ?.attempts.map(({ state }) => state);
  assert.deepEqual(states, ["refused", "unknown", "unknown", "acknowledged", "refused", "begun"]);
});
