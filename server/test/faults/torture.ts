import { writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { messageOf } from "../../src/errors.ts";
import { Random } from "../support/random.ts";
import type { Fault, Trial } from "./fault.ts";
import { countFaults, describeFindings, noFindings, type Findings } from "./findings.ts";
import { parseOptions, usage, UsageError, type TortureOptions } from "./torture-options.ts";
import { describeFaults, isClean, printTable, type Outcome } from "./torture-report.ts";

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Inflicts the faults one after the other, each with its control, and reports; answers the exit code. */
async function torture(options: TortureOptions): Promise<number> {
  const startedMs = performance.now();
  const stop = new AbortController();
  process.once("SIGINT", () => {
    say("Stopping after the one in hand");
    stop.abort();
  });
  const facts = `${new Date().toISOString()}, Node ${process.version}, Linux ${release()}, ${cpus().length} x ${cpus()[0]?.model ?? "unknown processor"}`;
  say(`${facts}\n${options.command}\n`);
  const random = new Random(options.seed);
  const outcomes: Outcome[] = [];
  for (const fault of options.faults) {
    if (stop.signal.aborted) break;
    const trial = { random, parent: options.dir, signal: stop.signal, say, times: fault.times(options.cycles) };
    outcomes.push(await runFault(fault, trial));
  }
  const minutes = ((performance.now() - startedMs) / 60_000).toFixed(1);
  const table = `${printTable(outcomes)}\n\n${facts}; ${minutes} minutes; \`${options.command}\``;
  say(`\n${table}`);
  if (options.report !== undefined) writeFileSync(options.report, `${table}\n`);
  const clean = isClean(outcomes);
  say(clean ? "\nNothing was lost, and every control was noticed." : `\nFAULTS\n${describeFaults(outcomes)}`);
  if (!clean) return 1;
  return stop.signal.aborted ? 130 : 0;
}

async function runFault(fault: Fault, trial: Trial): Promise<Outcome> {
  const skipped = fault.obstacle();
  if (skipped !== null) {
    trial.say(`${fault.name}: skipped: ${skipped}`);
    return { fault, skipped, findings: noFindings(), control: null, seconds: 0 };
  }
  const startedMs = performance.now();
  const times = Number.isFinite(trial.times) ? `${trial.times} times` : "wherever it can be";
  trial.say(`${fault.name}: ${fault.about}, ${times}`);
  const findings = await fault.inflict(trial).catch((error: unknown) => {
    // What makes the harness itself stumble is a fault too, so that nothing passes unseen.
    trial.say(messageOf(error));
    return { ...noFindings(), broken: [messageOf(error)] };
  });
  let control: Findings | null = null;
  if (!trial.signal.aborted) {
    trial.say(`${fault.name}: control: ${fault.control.about}`);
    control = await fault.control.inflict({ ...trial, say: () => undefined }).catch((error: unknown) => {
      // But no sign that the harness noticed anything.
      trial.say(messageOf(error));
      return noFindings();
    });
    trial.say(describeFindings(control));
    // One that was cut short had no chance to be noticed.
    if (trial.signal.aborted && countFaults(control) === 0) control = null;
  }
  return { fault, skipped, findings, control, seconds: (performance.now() - startedMs) / 1000 };
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === null) say(usage);
  else process.exitCode = await torture(options);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`${error.message}\n\n${usage}`);
  process.exitCode = 2;
}
