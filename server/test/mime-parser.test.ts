import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { promisify } from "node:util";
import { MailParser, summarizeMail, type MailSummary } from "../src/mime/mime.ts";
import { mailFiles } from "./support/corpora.ts";
import { hostileMails, mutate } from "./support/hostile-mails.ts";
import { Random } from "./support/random.ts";
import { StartedThreads } from "./support/started-threads.ts";
import { cpuMs } from "./support/thread-time.ts";
import { until } from "./support/until.ts";

const header = "From: Alice <alice@example.com>\r\nSubject: big\r\n";
const big = Buffer.from(`${header}\r\n${"a line of text\r\n".repeat(20_000)}`);
const small = Buffer.from(`${header}\r\nbody`);

/** `HOSTILE_MAILS=20000` is the long form. */
const hostileCount = Number(process.env["HOSTILE_MAILS"] ?? 4000);

/** Time enough for a machine that is busy with other things. */
const patient = { timeoutMs: 60_000, maxWaitMs: 60_000 };

function isPending(answer: MailSummary | Promise<MailSummary>): boolean {
  return answer instanceof Promise;
}

describe("a parser of mails", () => {
  test("answers at once for a small mail and by promise for a big one, both the same as the plain function", async () => {
    await using parser = new MailParser(patient);
    assert.deepEqual(parser.summarize(small), summarizeMail(small));
    const answer = parser.summarize(big);
    assert.ok(isPending(answer));
    assert.deepEqual(await answer, summarizeMail(big));
  });

  test("answers at once for a mail whose length is not that of its text, unless it takes long to find that out", async () => {
    await using parser = new MailParser(patient);
    const attached = `--b\r\nContent-Type: application/pdf\r\n\r\n${`${"Q".repeat(76)}\r\n`.repeat(12_000)}`;
    const mail = (text: string, rest = ""): Buffer =>
      Buffer.from(
        `${header}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n${text}\r\n${attached}${rest}\r\n--b--`,
      );
    const atOnce = mail("body");
    assert.deepEqual(parser.summarize(atOnce), summarizeMail(atOnce));
    const alternative = (text: string): Buffer =>
      Buffer.from(
        `Content-Type: multipart/alternative; boundary=b\n\n--b\n\n${text}\n--b\nContent-Type: text/html\n\n${"<p>x".repeat(20_000)}`,
      );
    assert.deepEqual(parser.summarize(alternative("body")), summarizeMail(alternative("body")));
    const later = [
      mail("body".repeat(10_000)),
      alternative(" "),
      mail("body", "\r\n--".repeat(10_000)),
      mail("body", "\r\n--b\r\nContent-Type: image/png; name=picture.png\r\n\r\n".repeat(900)),
      Buffer.from(`X: ${"x".repeat(40_000)}\r\n${atOnce.toString("latin1")}`),
      mail("body", attached.repeat(2)),
    ];
    for (const raw of later) {
      const answer = parser.summarize(raw);
      assert.ok(isPending(answer));
      assert.deepEqual(await answer, summarizeMail(raw));
    }
  });

  test("leaves raw with the caller, also when it lies inside of a bigger buffer", async () => {
    await using parser = new MailParser(patient);
    const shared = Buffer.concat([Buffer.from("before"), big, Buffer.from("after")]);
    const raw = shared.subarray(6, -5);
    const copy = Buffer.from(raw);
    assert.deepEqual(await parser.summarize(raw), summarizeMail(big));
    assert.deepEqual(raw, copy);
  });

  test("answers many in the order in which they came", async () => {
    await using parser = new MailParser({ ...patient, inlineBytes: 0 });
    const order: number[] = [];
    const mails = Array.from({ length: 20 }, (_, i) => Buffer.from(`Subject: ${i}\r\n\r\n`));
    await Promise.all(mails.map(async (mail) => order.push(Number((await parser.summarize(mail)).subject))));
    assert.deepEqual(
      order,
      mails.map((_, i) => i),
    );
  });

  test("gives up on a mail that takes too long, keeps its header, and reads the next one", async () => {
    await using parser = new MailParser({ timeoutMs: 1 });
    assert.deepEqual(await parser.summarize(big), {
      from: "alice@example.com",
      subject: "big",
      content: "",
      contentAt: null,
      received: 0,
      defects: ["parse_timeout"],
    });
    assert.equal(summarizeMail(small).content, "body");
  });

  test("survives a mail that breaks the worker and reads the next one", async () => {
    await using parser = new MailParser({ ...patient, workerHeapMb: 24 });
    const bomb = Buffer.from(`${header}Content-Type: text/html\r\n\r\n${"<p>x".repeat(2_000_000)}`);
    const [broken, next] = await Promise.all([parser.summarize(bomb), parser.summarize(big)]);
    const shown = { from: "alice@example.com", subject: "big", content: "", contentAt: null, received: 0 };
    assert.deepEqual(broken, { ...shown, defects: ["parse_failed"] });
    assert.deepEqual(next, summarizeMail(big));
  });

  test("reads the header only when too many are waiting or when one waited too long", async () => {
    await using full = new MailParser({ ...patient, maxWaiting: 1 });
    const answers = [big, big, big].map((mail) => full.summarize(mail));
    assert.deepEqual(answers.map(isPending), [true, true, false]);
    assert.deepEqual((await answers[2]!).defects, ["parser_busy"]);
    assert.deepEqual((await answers[1]!).defects, []);
    await using hasty = new MailParser({ ...patient, maxWaitMs: 0 });
    const [, second] = await Promise.all([hasty.summarize(big), hasty.summarize(big)]);
    assert.deepEqual(second.defects, ["parser_busy"]);
  });

  test("answers everything that is under way when it is closed", async () => {
    const parser = new MailParser(patient);
    const answers = [big, big].map((mail) => parser.summarize(mail));
    await parser[Symbol.asyncDispose]();
    for (const answer of answers) assert.deepEqual((await answer).defects, ["parser_busy"]);
    assert.deepEqual((await parser.summarize(big)).defects, ["parser_busy"]);
    assert.equal((await parser.summarize(small)).content, "body");
  });

  test("keeps its worker for mails with large attachments, and replaces it after one that took much memory", async () => {
    using threads = new StartedThreads();
    await using parser = new MailParser(patient);
    const attached = Buffer.from(`${header}Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n`);
    const large = Buffer.concat([attached, Buffer.alloc(24_000_000, `${"Q".repeat(76)}\r\n`)]);
    for (let i = 0; i < 3; i++) assert.deepEqual((await parser.summarize(large)).defects, []);
    assert.equal(threads.names.length, 1);
    const html = Buffer.from(
      `${header}Content-Type: text/html; charset=utf-8\r\n\r\n${"<p>\u00e9 ".repeat(3_000_000)}`,
    );
    await parser.summarize(html);
    await parser.summarize(big);
    assert.equal(threads.names.length, 2);
  });

  test("ends its worker when it has had nothing to do for long, and starts another for the next mail", async () => {
    using threads = new StartedThreads();
    await using parser = new MailParser({ ...patient, restMs: 1 });
    for (let count = 1; count <= 2; count++) {
      assert.deepEqual(await parser.summarize(big), summarizeMail(big));
      assert.equal(threads.names.length, count);
      await until("the worker has ended", () => threads.running === 0);
    }
  });

  test("does not keep the process alive when it has nothing to do", async () => {
    const face = new URL("../src/mime/mime.ts", import.meta.url).href;
    const program = `const { MailParser } = await import(${JSON.stringify(face)});
      const summary = await new MailParser({ inlineBytes: 0 }).summarize(Buffer.from("Subject: s\\r\\n\\r\\n"));
      console.log(summary.subject);`;
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", program], {
      timeout: 20_000,
    });
    assert.equal(stdout, "s\n");
  });
});

test(`${hostileCount} hostile mails and every corpus mail leave the event loop free`, async (t) => {
  await using parser = new MailParser(patient);
  const random = new Random(2);
  const vectors = Object.values(hostileMails);
  const corpora = mailFiles().map((file) => readFileSync(file));
  for (const vector of vectors) await parser.summarize(vector(5_000));
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const costsMs: number[] = [];
  const pending: Promise<MailSummary>[] = [];
  const feed = async (mail: Buffer): Promise<void> => {
    const cost = cpuMs(() => {
      const answer = parser.summarize(mail);
      if (answer instanceof Promise) pending.push(answer);
    });
    costsMs.push(cost);
    await turn();
  };
  for (const mail of corpora) await feed(mail);
  for (const vector of vectors) await feed(vector(2_000_000));
  for (let i = 0; i < hostileCount; i++) {
    const useVector = i % 20 === 0 || corpora.length === 0;
    const origin = useVector
      ? vectors[i % vectors.length]!(random.integer(2_000, 30_000))
      : corpora[i % corpora.length]!;
    await feed(mutate(origin.subarray(0, 30_000), random));
  }
  await Promise.all(pending);
  delay.disable();
  costsMs.sort((a, b) => a - b);
  const costAt = (share: number): number => costsMs[Math.floor((costsMs.length - 1) * share)]!;
  t.diagnostic(
    `event loop delay p99 ${(delay.percentile(99) / 1e6).toFixed(1)} ms; ${pending.length} mails in the worker`,
  );
  t.diagnostic(`time of a mail in this thread: p99 ${costAt(0.99).toFixed(1)} ms, most ${costAt(1).toFixed(1)} ms`);
  // The delay of the loop also holds what other programs on this machine do; the time of this thread is ours alone.
  assert.ok(costAt(0.99) < 10 && costAt(1) < 50);
});
