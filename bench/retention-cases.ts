import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startServerOn, startUp, watched, type Bench } from "./bench.ts";
import { fillStore, type FilledStore } from "./fill.ts";
import { runRounds, type Case, type Figures, type Table } from "./measurement.ts";
import { pushCase } from "./push-cases.ts";
import type { ServerProcess } from "./server-process.ts";

/** Lines of the report that targets are judged by. */
export const retentionNames = { on: "retention on", off: "retention off" } as const;

const hourMs = 3_600_000;
const on = { CATMAILS_RETENTION_AGE: "1h" };
const off = { CATMAILS_RETENTION_AGE: "0" };
const mailBytes = 4_096;
const arrivalRate = 1_000;
/** More than one second's deletions, so that the server is at it in every round. */
const expiredPerSecond = 16_000;
/** It deletes already before it is loaded. */
const startSeconds = 1;
const pollMs = 200;
const expiryPatienceMs = 600_000;

/** Intake while the server deletes as fast as it ever does, against intake on the same mails without; in full also a million that expire at once. */
export async function measureRetention(bench: Bench): Promise<Table[]> {
  const { options } = bench;
  const { rounds, seconds, startUpSeconds, warmUpSeconds } = options;
  const mails = Math.ceil((rounds * seconds + startUpSeconds + warmUpSeconds + startSeconds) * expiredPerSecond);
  const stores = { on: await fillOld(bench, "expiring", mails), off: await fillOld(bench, "staying", mails) };
  const tables: Table[] = [];
  {
    await using keeping = await startServerOn(bench, stores.off, { env: off });
    await startUp(bench, keeping);
    await using deleting = await startServerOn(bench, stores.on, { env: on });
    await startUp(bench, deleting);
    // It deletes whether it is its turn or not.
    deleting.process.pause();
    const cases = [
      intakeCase(bench, keeping, { name: retentionNames.off, store: stores.off }),
      onlyAwake(deleting, intakeCase(bench, deleting, { name: retentionNames.on, store: stores.on })),
    ];
    tables.push({ title: "Intake, 4 KB, 50 kept, beside old mails", rows: await runRounds(cases, options) });
  }
  if (options.mode === "full") tables.push(await measureExpiry(bench));
  return tables;
}

function fillOld({ workplace, key }: Bench, name: string, mails: number): Promise<FilledStore> {
  return fillStore({ dataDir: join(workplace.path, name), key, mails, scatteredMails: 0, ageMs: 2 * hourMs });
}

function intakeCase(
  { generator, sent }: Bench,
  server: ServerProcess,
  { name, store }: { name: string; store: FilledStore },
): Case {
  const job = { kind: "intake", target: server.smtp, recipients: [server.mailbox], size: mailBytes } as const;
  const shape = { connections: 50, kept: true, pipelined: false };
  return {
    name,
    run: async (seconds) => {
      const deletedBefore = await deletedMails(server, store);
      const { result, cost } = await watched(server, () =>
        generator.run({ ...job, ...shape, seconds, token: sent.newToken(mailBytes) }),
      );
      return {
        "mails/s": result.mails / result.seconds,
        "deleted/s": ((await deletedMails(server, store)) - deletedBefore) / result.seconds,
        "ack p50 ms": result.ackMs.p50,
        "ack p99 ms": result.ackMs.p99,
        ...cost("mail", result.mails),
      };
    },
  };
}

/** A case on a server that is paused before and after. */
function onlyAwake({ process }: ServerProcess, one: Case): Case {
  return {
    name: one.name,
    run: async (seconds) => {
      process.resume();
      const figures = await one.run(seconds);
      process.pause();
      return figures;
    },
  };
}

/** Mails arrive at a steady rate while all that is stored has just expired; then the same with nothing left to delete. */
async function measureExpiry(bench: Bench): Promise<Table> {
  const mails = Math.max(...bench.options.storeSizes.filter((size) => size <= 1_000_000));
  const store = await fillOld(bench, "expiring-at-once", mails);
  await using server = await startServerOn(bench, store, { env: on });
  const startMs = performance.now();
  const arriving = pushCase(bench, server, { name: "", mailsPerSecond: arrivalRate });
  const during = await arriving.run(bench.options.seconds);
  while ((await deletedMails(server, store)) < mails) {
    if (performance.now() - startMs > expiryPatienceMs) throw new Error("Expired mails are not deleted");
    await delay(pollMs);
  }
  const gone: Figures = { "deleted/s": mails / ((performance.now() - startMs) / 1000) };
  const after = await arriving.run(bench.options.seconds);
  return {
    title: `${arrivalRate} mails a second while ${mails} expire at once`,
    rows: [
      { name: "meanwhile", rounds: [{ ...gone, ...during }] },
      { name: "afterwards", rounds: [{ "deleted/s": 0, ...after }] },
    ],
  };
}

/** The oldest go first, so that the id of the oldest says how many are gone. */
async function deletedMails({ origin }: ServerProcess, { address, key }: FilledStore): Promise<number> {
  const query = new URLSearchParams({ type: "getmails", mail: address, key, limit: "1", since: "0" });
  const { data } = (await (await fetch(`${origin}/api?${query.toString()}`)).json()) as { data: { id: number }[] };
  return (data[0]?.id ?? 1) - 1;
}
