import { runIntake, type IntakeJob, type IntakeResult } from "./intake-load.ts";
import { runList, type ListJob, type ListResult } from "./list-load.ts";
import { runPush, type PushJob, type PushResult } from "./push-load.ts";

/** What the generator's process may be asked for, one at a time. */
export type Job = IntakeJob | PushJob | ListJob;

/** What comes back for each kind of job. */
export interface Results {
  intake: IntakeResult;
  push: PushResult;
  list: ListResult;
}

/** What the generator's process answers: a result, or why there is none. */
export type Answer = { result: Results[Job["kind"]] } | { error: string };

function run(job: Job): Promise<Results[Job["kind"]]> {
  if (job.kind === "intake") return runIntake(job);
  return job.kind === "push" ? runPush(job) : runList(job);
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
