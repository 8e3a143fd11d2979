import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startServerOn, watched, type Bench } from "./bench.ts";
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
const pollMs = 200;
const expiryPatienceMs = 600_000;

/** Intake while the server deletes as fast as it ever does, against intake on the same mails without; in full also a million that expire at once. */
export async function measureRetention(bench: Bench): Promise<Table[]> {
  const { options } = bench;
  const { rounds, seconds, warmUpSeconds } = options;
  const mails = Math.ceil((rounds * seconds + warmUpSeconds) * 2 * expiredPerSecond);
  const stores = { on: await fillOld(bench, "expiring", mails), off: await fillOld(bench, "staying", mails) };
  const tables: Table[] = [];
  {
    await using keeping = await startServerOn(bench, stores.off, { env: off });
    await using deleting = await startServerOn(bench, stores.on, { env: on });
    const cases = [intakeCase(bench, keeping, retentionNames.off), intakeCase(bench, deleting, retentionNames.on)];
    tables.push({ title: "Intake, 4 KB, 50 kept, beside old mails", rows: await runRounds(cases, options) });
  }
  if (options.mode === "full") tables.push(await measureExpiry(bench));
  return tables;
}

function fillOld({ workplace, key }: Bench, name: string, mails: number): Promise<FilledStore> {
  return fillStore({ dataDir: join(workplace.path, name), key, mails, scatteredMails: 0, ageMs: 2 * hourMs });
}

function intakeCase({ generator, sent }: Bench, server: ServerProcess, name: string): Case {
  const job = { kind: "intake", target: server.smtp, recipients: [server.mailbox], size: mailBytes } as const;
  const shape = { connections: 50, kept: true, pipelined: false };
  return {
    name,
    run: async (seconds) => {
      const deletedBefore = await deletedMails(server);
      const { result, cost } = await watched(server, () =>
        generator.run({ ...job, ...shape, seconds, token: sent.newToken(mailBytes) }),
      );
      return {
        "mails/s": result.mails / result.seconds,
        "deleted/s": ((await deletedMails(server)) - deletedBefore) / result.seconds,
        "ack p50 ms": result.ackMs.p50,
        "ack p99 ms": result.ackMs.p99,
        ...cost("mail", result.mails),
      };
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
  while ((await deletedMails(server)) < mails) {
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

async function deletedMails({ origin }: ServerProcess): Promise<number> {
  const text = await (await fetch(`${origin}/metrics`)).text();
  return Number(/^catmails_mails_deleted_total\{reason="retention"\} (\d+)/m.exec(text)?.[1] ?? 0);
}
