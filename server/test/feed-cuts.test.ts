import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { SeedPush } from "@catmails/client";
import { sendBulk } from "./faults/bulk.ts";
import { followOverBadLine } from "./faults/cut-subscriber.ts";
import { FeedSocket } from "./faults/feed-socket.ts";
import { settleResidents } from "./faults/household.ts";
import { Random } from "./support/random.ts";
import { until } from "./support/until.ts";
import { realDiskDirectory } from "./support/temporary-directory.ts";
import { ServiceProcess } from "./support/service-process.ts";

/** `FAULTS_MAILS=50000 FAULTS_CUTS=1000` is the long form. */
const mails = Number(process.env["FAULTS_MAILS"] ?? 20_000);
const cuts = Number(process.env["FAULTS_CUTS"] ?? 400);
const unlimited = { CATMAILS_SMTP_MAX_CONNECTIONS_PER_IP: "1000", CATMAILS_SMTP_MAX_MAILS: "1000000" };

describe("a subscriber gets every mail once and in order", () => {
  test(`cut off ${cuts} times while ${mails} mails arrive`, async (t) => {
    using directory = realDiskDirectory();
    const dataDir = join(directory.path, "data");
    const [ann] = await settleResidents(dataDir, ["ann"]);
    assert.ok(ann);
    const random = new Random();
    t.diagnostic(`FAULTS_SEED=${random.seed}`);
    await using service = await ServiceProcess.start({ dataDir, env: unlimited });
    const { websocket, smtp } = service.report;
    // The last mails wait for the last cut, so that every cut is one while mails arrive.
    const cutsDone = Promise.withResolvers<void>();
    const onCutsDone = (): void => cutsDone.resolve();
    const startedMs = performance.now();
    const sending = sendBulk({
      port: smtp.port,
      connections: 50,
      count: mails,
      to: ann.address,
      makeWire: (index) => Buffer.from(`Subject: number ${index}\r\n\r\nMail ${index}.\r\n`),
      mayGo: (index) => (index < mails * 0.98 ? undefined : cutsDone.promise),
    });
    const following = followOverBadLine({ websocket, key: ann.key, random, cuts, total: mails, onCutsDone });
    const [seen] = await Promise.all([following, sending]);
    t.diagnostic(`${seen.length} mails seen in ${Math.round(performance.now() - startedMs)} ms`);
    assert.deepEqual(findDisorder(seen, mails), []);
    assert.equal(await service.stop(), 0);
  });

  test("while another never reads, which is closed with 1013 and is not noticed", async (t) => {
    using directory = realDiskDirectory();
    const dataDir = join(directory.path, "data");
    const [ann] = await settleResidents(dataDir, ["ann"]);
    assert.ok(ann);
    await using service = await ServiceProcess.start({
      dataDir,
      env: { ...unlimited, CATMAILS_WS_STALL_TIMEOUT: "1s" },
    });
    const { websocket, smtp, http } = service.report;
    const query = { key: ann.key, since: "0" };
    using hanging = new FeedSocket({ websocket, query, onMail: () => undefined });
    await hanging.opened;
    hanging.stopReading();
    const body = "This is a line of a rather long mail.\r\n".repeat(1600);
    const acknowledgedMs = new Map<number, number>();
    const delaysMs: number[] = [];
    const seen: SeedPush[] = [];
    using reading = new FeedSocket({
      websocket,
      query,
      onMail: (push) => {
        seen.push(push);
        const since = acknowledgedMs.get(numberOf(push));
        delaysMs.push(since === undefined ? 0 : performance.now() - since);
      },
    });
    await reading.opened;
    const isClosed = (): Promise<boolean> => socketsClosedWith(http, 1013);
    // More than the kernel buffers for a socket, and on until the server has given up.
    let sent = 0;
    for (let round = 0; round < 100 && !(sent >= 1000 && (await isClosed())); round++) {
      await sendBulk({
        port: smtp.port,
        connections: 4,
        count: 100,
        to: ann.address,
        makeWire: (index) => Buffer.from(`Subject: number ${sent + index}\r\n\r\n${body}`),
        onAcknowledged: (index) => void acknowledgedMs.set(sent + index, performance.now()),
      });
      sent += 100;
    }
    assert.ok(await isClosed(), `nothing was closed with 1013 during ${sent} mails`);
    await until("every mail is seen", () => seen.length >= sent);
    assert.deepEqual(findDisorder(seen, sent), []);
    const worstMs = Math.round(Math.max(...delaysMs));
    t.diagnostic(`${sent} mails of ${body.length} bytes; the reader waited ${worstMs} ms at the most`);
    assert.ok(worstMs < 1000, `the reader waited ${worstMs} ms`);
    hanging.goOnReading();
    const { code, reason } = await hanging.ended;
    assert.ok(code === null || (code === 1013 && /^since=\d+$/.test(reason)), `closed with ${code} ${reason}`);
    assert.equal(await service.stop(), 0);
  });
});

/** Ids without a gap from 1 on, each mail once. */
function findDisorder(seen: readonly SeedPush[], total: number): string[] {
  const faults = seen.filter(({ id }, index) => id !== index + 1).map(({ id }, index) => `id ${id} at ${index}`);
  const numbers = new Set(seen.map(numberOf));
  if (numbers.size !== total) faults.push(`${numbers.size} different mails of ${total}`);
  if (seen.length !== total) faults.push(`${seen.length} mails of ${total}`);
  return faults.slice(0, 10);
}

function numberOf({ subject }: SeedPush): number {
  return Number(subject.replace("number ", ""));
}

async function socketsClosedWith(api: string, code: number): Promise<boolean> {
  const metrics = await (await fetch(new URL("/metrics", api))).text();
  return new RegExp(`^catmails_sockets_closed_total\\{code="${code}"\\} [1-9]`, "m").test(metrics);
}
