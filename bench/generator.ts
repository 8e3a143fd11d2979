import { runIntake, type IntakeJob, type IntakeResult } from "./intake-load.ts";
import { runPush, type PushJob, type PushResult } from "./push-load.ts";
import { runReading, type ReadingJob, type ReadingResult } from "./reading-load.ts";
import { runHold, runStorm, type HoldJob, type HoldResult, type StormJob, type StormResult } from "./socket-load.ts";

/** What the generator's process may be asked for, one at a time. */
export type Job = IntakeJob | PushJob | ReadingJob | HoldJob | StormJob;

/** What comes back for each kind of job. */
export interface Results {
  intake: IntakeResult;
  push: PushResult;
  reading: ReadingResult;
  hold: HoldResult;
  storm: StormResult;
}

/** What the generator's process answers: a result, or why there is none. */
export type Answer = { result: Results[Job["kind"]] } | { error: string };

function run(job: Job): Promise<Results[Job["kind"]]> {
  switch (job.kind) {
    case "intake":
      return runIntake(job);
    case "push":
      return runPush(job);
    case "reading":
      return runReading(job);
    case "hold":
      return runHold(job);
    case "storm":
      return runStorm(job);
  }
}

async function answer(job: Job): Promise<Answer> {
  try {
    return { result: await run(job) };
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

process.on("message", (job: Job) => {
  void answer(job).then((message) => process.send?.(message));
});
