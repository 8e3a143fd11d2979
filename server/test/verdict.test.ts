import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { LedgerEntry, MailState } from "./faults/ledger.ts";
import { faultless, judge, type FoundMail, type Verdict } from "./faults/verdict.ts";

const owners = new Map([
  ["ann@x.example", "ann@x.example"],
  ["bob@x.example", "bob@x.example"],
]);
const found: FoundMail = { token: "t", sha256: "good", mailTo: "ann@x.example", owner: "ann@x.example", id: 1 };
const elsewhere: FoundMail = { ...found, mailTo: "bob@x.example", owner: "bob@x.example" };

const cases: readonly {
  name: string;
  state: MailState;
  to?: string[];
  found: FoundMail[];
  verdict: Partial<Verdict>;
}[] = [
  { name: "acknowledged and there", state: "acknowledged", found: [found], verdict: {} },
  { name: "acknowledged and not there", state: "acknowledged", found: [], verdict: { lost: ["t ann@x.example"] } },
  {
    name: "acknowledged for two and there for one",
    state: "acknowledged",
    to: ["ann@x.example", "bob@x.example"],
    found: [found],
    verdict: { lost: ["t bob@x.example"] },
  },
  {
    name: "acknowledged and there with other bytes",
    state: "acknowledged",
    found: [{ ...found, sha256: "bad" }],
    verdict: { corrupt: ["t"] },
  },
  {
    name: "there twice",
    state: "acknowledged",
    found: [found, { ...found, id: 2 }],
    verdict: { duplicate: ["t ann@x.example"] },
  },
  {
    name: "in a mailbox it was not for",
    state: "acknowledged",
    found: [found, elsewhere],
    verdict: { misrouted: ["t bob@x.example"] },
  },
  {
    name: "in another user's feed",
    state: "acknowledged",
    found: [{ ...found, owner: "bob@x.example" }],
    verdict: { misrouted: ["t ann@x.example"] },
  },
  { name: "without a reply and there", state: "unknown", found: [found], verdict: {} },
  { name: "without a reply and not there", state: "unknown", found: [], verdict: {} },
  {
    name: "without a reply and there for one of two",
    state: "unknown",
    to: ["ann@x.example", "bob@x.example"],
    found: [found],
    verdict: { torn: ["t"] },
  },
  { name: "refused and there", state: "refused", found: [found], verdict: { phantom: ["t"] } },
  { name: "never finished and there", state: "begun", to: [], found: [found], verdict: { phantom: ["t"] } },
  {
    name: "never sent and there",
    state: "acknowledged",
    found: [found, { ...found, token: "u" }],
    verdict: { phantom: ["u"] },
  },
];

describe("a mail is judged by what its sender knows of it", () => {
  for (const { name, state, to = ["ann@x.example"], found: mails, verdict } of cases) {
    test(name, () => {
      const entry: LedgerEntry = { token: "t", sha256: "good", recipients: to, state };
      assert.deepEqual(judge(new Map([["t", entry]]), mails, owners), { ...faultless, ...verdict });
    });
  }
});
