import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { createLog } from "../src/log.ts";
import { DiskSpace } from "../src/mail/disk-space.ts";
import { Metrics } from "../src/metrics.ts";
import { CommandLine } from "./support/command-line.ts";
import { readMetric } from "./support/metric-reader.ts";
import { ServiceProcess } from "./support/service-process.ts";
import { SmtpClient } from "./support/smtp-client.ts";
import { TemporaryDirectory } from "./support/temporary-directory.ts";
import { until } from "./support/until.ts";

const more = 2 ** 60;
const skipWithoutProc = existsSync("/proc/self") ? false : "there is no /proc";

test("the disk is low while less is free than wanted, says so once, and recovers by itself", async () => {
  using directory = new TemporaryDirectory();
  const lines: string[] = [];
  const metrics = new Metrics();
  let reusableBytes = 0;
  await using space = await DiskSpace.watch({
    dir: directory.path,
    minFreeBytes: more,
    maxMessageBytes: 1,
    store: { reusableBytes: () => Promise.resolve(reusableBytes) },
    log: createLog({ level: "debug", format: "json", write: (line) => void lines.push(line) }),
    metrics,
  });
  assert.equal(space.isLow, true);
  assert.equal(await readMetric(metrics.diskLow), 1);
  assert.ok((await readMetric(metrics.diskFreeBytes)) > 0);
  // What was deleted can be used again, though the disk gets nothing back.
  reusableBytes = more;
  await until("there is room again", () => !space.isLow);
  assert.equal(await readMetric(metrics.diskLow), 0);
  assert.deepEqual(
    lines.map((line) => /The disk [a-z ]+/.exec(line)?.[0]),
    ["The disk is nearly full", "The disk has room again"],
  );
});

test("what the store can use again does not stand in for the way of the largest mail", async () => {
  using directory = new TemporaryDirectory();
  await using space = await DiskSpace.watch({
    dir: directory.path,
    minFreeBytes: 0,
    maxMessageBytes: more,
    store: { reusableBytes: () => Promise.resolve(more) },
    log: createLog({ level: "silent", format: "json", write: () => undefined }),
    metrics: new Metrics(),
  });
  assert.equal(space.isLow, true);
});

test("a file system that does not say how large it is has room", { skip: skipWithoutProc }, async () => {
  await using space = await DiskSpace.watch({
    dir: "/proc",
    minFreeBytes: more,
    maxMessageBytes: more,
    store: { reusableBytes: () => Promise.resolve(0) },
    log: createLog({ level: "silent", format: "json", write: () => undefined }),
    metrics: new Metrics(),
  });
  assert.equal(space.isLow, false);
});

test("below the floor MAIL gets 452 and reading goes on; readiness, metrics and doctor say why", async () => {
  using directory = new TemporaryDirectory();
  const env = { CATMAILS_MIN_FREE_BYTES: "900000GiB", CATMAILS_LOG_LEVEL: "silent" };
  await using service = await ServiceProcess.start({ dataDir: directory.path, env });
  await using client = await SmtpClient.ready(service.report.smtp.port);
  const reply = await client.command("MAIL FROM:<s@there.example>");
  assert.deepEqual(reply.lines, ["452 4.3.1 No room for this mail now, try again"]);
  const origin = new URL(service.report.http).origin;
  const ready = await fetch(`${origin}/readyz`);
  assert.equal(ready.status, 200);
  assert.equal(await ready.text(), "ok, but the disk is nearly full, new mail is put off\n");
  assert.match(await (await fetch(`${origin}/metrics`)).text(), /^catmails_disk_low 1$/m);
  const listed = await fetch(`${service.report.http}?mail=${service.report.mailbox}&key=${service.report.key}`);
  assert.equal(listed.status, 200);
  await using line = new CommandLine();
  const doctor = await line.run(["doctor", "--data-dir", directory.path], { env });
  assert.match(doctor.stdout, /bad\s+disk\s+.*new mail is put off below/);
});
