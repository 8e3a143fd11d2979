import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { settleResidents, type Resident } from "./faults/household.ts";
import { runKillCycles, type PushedMail } from "./faults/kill-cycles.ts";
import { Ledger, readLedger } from "./faults/ledger.ts";
import { Random } from "./support/random.ts";
import { listThroughApi, readBack } from "./faults/read-back.ts";
import { faultless, judge, type FoundMail, type Verdict } from "./faults/verdict.ts";
import { realDiskDirectory } from "./support/temporary-directory.ts";
import { ServiceProcess } from "./support/service-process.ts";

const kills = Number(process.env["FAULTS_KILLS"] ?? 25);
const connections = 50;

interface Outcome {
  verdict: Verdict;
  /** What is wrong with the answers of the API, or with what was pushed. */
  faults: string[];
  acknowledged: number;
}

describe("kill -9 under the load of 50 connections", () => {
  test(`loses nothing that was acknowledged and makes nothing up, ${kills} times`, async (t) => {
    const outcome = await crash(t, { kills });
    assert.deepEqual(outcome.verdict, faultless);
    assert.deepEqual(outcome.faults, []);
    assert.ok(outcome.acknowledged > kills * 20, `only ${outcome.acknowledged} mails were acknowledged`);
  });

  test("is noticed when a server acknowledges before the commit", async (t) => {
    const entry = join(import.meta.dirname, "faults/hasty-service.ts");
    const { verdict } = await crash(t, { kills: 2, entry });
    assert.ok(verdict.lost.length > 0, "the harness saw nothing wrong with a server that loses mail");
  });
});

async function crash(t: TestContext, run: { kills: number; entry?: string }): Promise<Outcome> {
  using directory = realDiskDirectory();
  const random = new Random();
  t.diagnostic(`FAULTS_SEED=${random.seed}`);
  const dataDir = join(directory.path, "data");
  const residents = await settleResidents(dataDir, ["ann", "bob"]);
  const book = join(directory.path, "ledger");
  let pushed: PushedMail[];
  {
    using ledger = new Ledger(book);
    const onKill = (line: string): void => t.diagnostic(line);
    pushed = await runKillCycles({ ...run, dataDir, connections, residents, ledger, random, onKill });
  }
  const { found, faults } = await readEverything(dataDir, residents);
  const entries = readLedger(book);
  const verdict = judge(entries, found, ownersOf(residents));
  const states = Object.entries(Object.groupBy(entries.values(), ({ state }) => state));
  t.diagnostic(`${entries.size} mails sent: ${states.map(([state, of]) => `${of.length} ${state}`).join(", ")}`);
  const counts = Object.entries<string[]>({ ...verdict }).map(([name, tokens]) => `${tokens.length} ${name}`);
  t.diagnostic(`${found.length} found after ${run.kills} kills, ${pushed.length} pushed: ${counts.join(", ")}`);
  return {
    verdict,
    faults: [...faults, ...findRetracted(pushed, found)],
    acknowledged: states.find(([state]) => state === "acknowledged")?.[1].length ?? 0,
  };
}

async function readEverything(
  dataDir: string,
  residents: readonly Resident[],
): Promise<{ found: FoundMail[]; faults: string[] }> {
  const listings = [];
  {
    await using service = await ServiceProcess.start({ dataDir });
    for (const resident of residents) {
      listings.push({ resident, listed: await listThroughApi(service.report.http, resident) });
    }
    assert.equal(await service.stop(), 0, "the server did not stop in order");
  }
  return readBack(dataDir, listings);
}

/** What was pushed had been committed: it is there after the crash, under the same id. */
function findRetracted(pushed: readonly PushedMail[], found: readonly FoundMail[]): string[] {
  const stored = new Set(found.map(({ owner, id, token }) => `${owner} ${id} ${token}`));
  return pushed
    .map(({ owner, id, token }) => `${owner} ${id} ${token}`)
    .filter((mail) => !stored.has(mail))
    .map((mail) => `pushed, then not there: ${mail}`);
}

function ownersOf(residents: readonly Resident[]): Map<string, string> {
  return new Map(
    residents.flatMap(({ address, addresses }) =>
      addresses.flatMap((own) => [
        [own, address],
        [own.replace("@", "+tag@"), address],
      ]),
    ),
  );
}
