import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { drawBars } from "../../bench/peers/bar-chart.ts";
import { reportOf } from "../../bench/peers/report.ts";
import { readResults, saveResult, type PeersResult } from "../../bench/peers/result.ts";
import { judgeTargets } from "../../bench/peers/target.ts";
import { peersResult, rateSamples } from "./support/peers-result.ts";
import { projectRoot } from "./support/project-files.ts";
import { directoryFor } from "./support/temporary-directory.ts";

const run = promisify(execFile);

describe("a report is made of stored results", () => {
  test("with its charts, and what stood around it is kept", async (t) => {
    const [resultsDir, reportDir] = [directoryFor(t), directoryFor(t)];
    const saved = await saveResult(peersResult(), resultsDir);
    const page = join(reportDir, "benchmarks.md");
    await writeFile(page, "# Benchmarks\n\nBefore.\n\n<!-- peers -->\nold\n<!-- end of peers -->\n\nAfter.\n");
    for (let times = 0; times < 2; times++) {
      await run(process.execPath, ["bench/peers/run.ts", "--from", saved, "--report", reportDir], { cwd: projectRoot });
    }
    const text = await readFile(page, "utf8");
    assert.match(text, /^# Benchmarks\n\nBefore\.\n\n<!-- peers -->\n/);
    assert.match(text, /<!-- end of peers -->\n\nAfter\.\n$/);
    assert.ok(!text.includes("\nold\n"));
    const named = [...text.matchAll(/\]\(benchmarks\/([\w-]+\.svg)\)/g)].map((match) => match[1]);
    assert.deepEqual(named, ["4k-50.svg", "4k-50-cpu.svg"]);
    assert.deepEqual(new Set(await readdir(join(reportDir, "benchmarks"))), new Set(named));
    // The words of a figure that nobody gave.
    assert.equal(/NaN|Infinity|undefined|null/.exec(text), null);
  });

  test("and says who was not measured, and why", () => {
    assert.match(reportOf(peersResult()), /### Not measured\n\n\|[^\n]*\n\|[^\n]*\n\| Away \| It is not here\. \|/);
  });

  test("and never shows a peer's mails as safe whose syncs nobody counted", () => {
    const text = reportOf(peersResult());
    assert.match(text, /\| Mailpit \| files \| 3\.5 \| 2000 of 2000 \| 500 of 500 \| Not all\. \|/);
    assert.match(text, /\| smtp-sink \| nowhere \| not counted \|/);
  });
});

describe("targets are judged by the medians of the same rounds", () => {
  const lineOf = (result: PeersResult, what: RegExp) => judgeTargets(result).find((line) => what.test(line.what));

  test("reached, and missed by a little", () => {
    assert.deepEqual(lineOf(peersResult(), /^4k-50.*Mailpit/), {
      what: "4k-50, mails/s, against Mailpit",
      target: "8 times, aim 10",
      found: "9 (8 to 10)",
      verdict: "reached",
    });
    const slower = {
      ...peersResult(),
      samples: [...rateSamples("catmails", [7990]), ...rateSamples("mailpit", [1000])],
    };
    assert.equal(lineOf(slower, /^4k-50.*Mailpit/)?.verdict, "missed");
  });

  test("a round that one of the two did not end counts for neither", () => {
    const result = peersResult();
    const more = rateSamples("catmails", [9000, 8000, 10_000, 1]);
    const samples = [...more, ...result.samples.filter(({ peer }) => peer !== "catmails")];
    assert.equal(lineOf({ ...result, samples }, /^4k-50.*Mailpit/)?.found, "9 (8 to 10)");
  });

  test("a peer that is not here is estimated by smtp-sink, and that is said", () => {
    const line = lineOf(peersResult(), /^4k-50.*postfix/i);
    assert.match(line?.found ?? "", /^10\.6, estimated/);
    assert.equal(line?.verdict, "reached");
    const alone = { ...peersResult(), samples: rateSamples("catmails", [9000]) };
    assert.equal(lineOf(alone, /^4k-50.*postfix/i)?.verdict, "not measured");
  });
});

test("results of several runs become one, and rounds stay apart", async (t) => {
  const dir = directoryFor(t);
  const [one, other] = [join(dir, "one.json"), join(dir, "other.json")];
  await writeFile(one, JSON.stringify(peersResult()));
  const [us, , away] = peersResult().peers;
  const found = { ...away, version: "2", fault: null };
  const second = { ...peersResult(), command: "again", peers: [us, found], samples: rateSamples("catmails", [5000]) };
  await writeFile(other, JSON.stringify(second));
  const joined = await readResults([one, other]);
  assert.deepEqual(
    joined.samples.filter(({ peer }) => peer === "catmails").map(({ round }) => round),
    [0, 1, 2, 3],
  );
  assert.equal(joined.peers.find(({ name }) => name === "away")?.version, "2");
  assert.equal(joined.command, `${peersResult().command}\nagain`);
});

test("a chart is a whole document, and text in it stays text", () => {
  const bars = [
    { label: "us & <them>", value: 4, text: "4", kind: "own" },
    { label: "none", value: 0, text: "0", kind: "lost" },
  ] as const;
  const svg = drawBars({ title: 'a "title"', note: "", bars });
  assert.match(svg, /^<svg [^>]*>\n[\s\S]*<\/svg>\n$/);
  assert.ok(svg.includes("us &amp; &lt;them&gt;") && svg.includes("a &quot;title&quot;"));
  const widths = [...svg.matchAll(/<rect class="(?:own|lost)" x="280" y="\d+" width="(\d+)"/g)].map(
    (match) => match[1],
  );
  assert.deepEqual(widths, ["370", "1"]);
});

test("an unknown peer is a fault of usage that names those there are", async () => {
  const failed = await run(process.execPath, ["bench/peers/run.ts", "--only", "sendmail"], { cwd: projectRoot }).then(
    () => null,
    (error: { code: number; stderr: string }) => error,
  );
  assert.equal(failed?.code, 2);
  assert.match(failed.stderr, /"sendmail" is none of mailpit, /);
});

test("an interrupted run ends every server that it started, and leaves nothing behind", async (t) => {
  const dir = directoryFor(t);
  const args = [
    "bench/peers/run.ts",
    "--only",
    "smtp-sink",
    "--workloads",
    "4k-1",
    "--rounds",
    "99",
    "--seconds",
    "0.2",
  ];
  const bench = spawn(process.execPath, [...args, "--dir", dir], {
    cwd: projectRoot,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(bench, "exit");
  for await (const line of createInterface({ input: bench.stdout }))
    if (/^ {2}1 {2}Cat Mails, 4k-1: /.test(line)) break;
  assert.ok((await processesIn(dir)).length > 0, "no server was found, so nothing is shown");
  bench.kill("SIGINT");
  assert.deepEqual(await ended, [1, null]);
  assert.deepEqual(await processesIn(dir), []);
  assert.deepEqual(await readdir(dir), []);
});

/** Processes that work in a directory. */
async function processesIn(dir: string): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const places = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => "")));
  return places.filter((place) => place.startsWith(dir));
}
