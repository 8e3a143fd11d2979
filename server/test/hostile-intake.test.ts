import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { settleResidents } from "./faults/household.ts";
import { stuffDots } from "./faults/mail-factory.ts";
import { SmtpLink } from "./faults/smtp-link.ts";
import { mailFiles } from "./support/corpora.ts";
import { hostileMails, mutate } from "./support/hostile-mails.ts";
import { Random } from "./support/random.ts";
import type { StrainReport } from "./support/strain-report.ts";
import { readStrain, startStrained } from "./support/strain.ts";
import { realDiskDirectory } from "./support/temporary-directory.ts";

/** `HOSTILE_MAILS=20000` is the long form. */
const mails = Number(process.env["HOSTILE_MAILS"] ?? 1000);
const senders = 8;
const mailsPerConnection = 50;
/** After each stretch the server says how it stands. */
const stretches = 5;
const maxDelayMs = 50;
/** What may live more in the heaps of all threads after all the mails than after the first stretch of them. */
const maxLiveGrowthBytes = 16 * 1024 * 1024;
/** The allocator keeps some of what was freed, to use it again. */
const maxResidentGrowthBytes = 256 * 1024 * 1024;

interface Counts {
  stored: number;
  refused: number;
  unexpected: string[];
}

interface HostileMailOnTheWire {
  wire: Buffer;
  /** It has to be refused for its line ends. */
  isBad: boolean;
}

/** Mails of every kind that breaks parsers: the corpora and the hostile shapes, with wounds; one in 200 is big. */
class HostileSource {
  readonly #random: Random;
  readonly #origins: readonly Buffer[];
  readonly #shapes = Object.values(hostileMails);

  constructor(random: Random) {
    this.#random = random;
    this.#origins = mailFiles().map((file) => readFileSync(file));
  }

  /** Big ones of each shape, more than the log holds, so that every thread of the server is up before anything is measured. */
  first(): HostileMailOnTheWire[] {
    return [1, 2, 3].flatMap(() => this.#shapes.map((make) => this.#onTheWire(make(200_000), false)));
  }

  *take(count: number): Generator<HostileMailOnTheWire> {
    for (let i = 0; i < count; i++) yield this.#next();
  }

  #next(): HostileMailOnTheWire {
    const random = this.#random;
    const raw = random.chance(0.005)
      ? random.pick(this.#shapes)(random.integer(200_000, 2_000_000))
      : mutate(this.#origin().subarray(0, 30_000), random);
    return this.#onTheWire(raw, random.chance(0.02));
  }

  /** One that has to be refused gets a bare LF. */
  #onTheWire(raw: Buffer, isBad: boolean): HostileMailOnTheWire {
    const text = raw.toString("latin1").replaceAll(/\r\n|\r|\n/g, "\r\n");
    return { wire: stuffDots(Buffer.from(`${text}${isBad ? "\n" : ""}\r\n`, "latin1")), isBad };
  }

  #origin(): Buffer {
    const useShape = this.#origins.length === 0 || this.#random.chance(0.3);
    return useShape
      ? this.#random.pick(this.#shapes)(this.#random.integer(200, 30_000))
      : this.#random.pick(this.#origins);
  }
}

async function sendAll(port: number, to: string, mails: Iterator<HostileMailOnTheWire>): Promise<Counts> {
  const counts: Counts = { stored: 0, refused: 0, unexpected: [] };
  let mail = mails.next();
  const send = async (): Promise<void> => {
    while (mail.done !== true) {
      using link = await SmtpLink.open(port);
      for (let sent = 0; sent < mailsPerConnection && mail.done !== true; sent++) {
        const { wire, isBad } = mail.value;
        mail = mails.next();
        const reply = await link.deliver({ envelopeFrom: "sender@example.org", recipients: [to], wire });
        if (reply.startsWith("250 2.0.0 ") && !isBad) counts.stored++;
        else if (isBad ? reply.startsWith("554 5.6.0 ") : reply.startsWith("554 5.4.6 ")) counts.refused++;
        else counts.unexpected.push(reply);
        if (isBad) break;
      }
    }
  };
  await Promise.all(Array.from({ length: senders }, send));
  return counts;
}

async function readLagP99(api: string): Promise<number> {
  const metrics = await (await fetch(new URL("/metrics", api))).text();
  return Number(/^catmails_nodejs_eventloop_lag_p99_seconds (\S+)/m.exec(metrics)?.[1] ?? Number.NaN);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

test(`${mails} hostile mails over sockets hold nothing up and leave nothing behind`, async (t) => {
  using directory = realDiskDirectory();
  const dataDir = join(directory.path, "data");
  const [ann] = await settleResidents(dataDir, ["ann"]);
  assert.ok(ann);
  // All mail goes through the log, so that the warm-up fills it: the thread that copies it back holds 20 MB.
  await using service = await startStrained({ dataDir, env: { CATMAILS_RAW_FILES_FROM: "0" } });
  const { smtp, http } = service.report;
  const random = new Random();
  t.diagnostic(`seed ${random.seed}`);
  const source = new HostileSource(random);
  const totals: Counts = { stored: 0, refused: 0, unexpected: [] };
  const strains: StrainReport["strain"][] = [];
  const warmUp = await sendAll(smtp.port, ann.address, source.first().values());
  assert.deepEqual(warmUp.unexpected, []);
  // What start and warm-up took is not what is measured.
  await readStrain(service);
  const startedAt = performance.now();
  for (let stretch = 0; stretch < stretches; stretch++) {
    await readLagP99(http);
    const counts = await sendAll(smtp.port, ann.address, source.take(Math.ceil(mails / stretches)));
    const lagMs = (await readLagP99(http)) * 1000;
    const strain = await readStrain(service);
    strains.push(strain);
    t.diagnostic(
      `RSS ${megabytes(strain.rss)}, living ${megabytes(strain.liveBytes)}; ` +
        `event loop held p99 ${strain.delayP99Ms.toFixed(1)} ms, most ${strain.delayMaxMs.toFixed(1)} ms ` +
        `(by the clock, with all else on this machine: p99 ${lagMs.toFixed(0)} ms)`,
    );
    totals.stored += counts.stored;
    totals.refused += counts.refused;
    totals.unexpected.push(...counts.unexpected);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  t.diagnostic(`${totals.stored} stored, ${totals.refused} refused, in ${seconds.toFixed(1)} s`);
  assert.deepEqual(totals.unexpected, []);
  assert.ok(totals.stored > mails * 0.9);
  const delayMs = Math.max(...strains.map(({ delayP99Ms }) => delayP99Ms));
  assert.ok(delayMs < maxDelayMs, `the event loop was held for ${delayMs} ms at the 99th percentile`);
  const [first, last] = [strains[0], strains.at(-1)];
  assert.ok(first !== undefined && last !== undefined);
  const growth = last.liveBytes - first.liveBytes;
  assert.ok(growth < maxLiveGrowthBytes, `${megabytes(growth)} more are held`);
  assert.ok(last.rss - first.rss < maxResidentGrowthBytes, `RSS grew by ${megabytes(last.rss - first.rss)}`);
  assert.equal(await service.stop(), 0);
});
