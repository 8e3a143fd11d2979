import { distribution, type Distribution } from "./distribution.ts";
import { SampleMail } from "./sample-mail.ts";
import { SmtpConnection, type SmtpTarget } from "./smtp-connection.ts";

export interface IntakeJob {
  kind: "intake";
  target: SmtpTarget;
  connections: number;
  /** Connections stay open from mail to mail; otherwise each mail has its own. */
  kept: boolean;
  seconds: number;
  mailBytes: number;
}

export interface IntakeResult {
  /** Mails that were acknowledged. */
  mails: number;
  /** Mails that were not, for whatever reason. */
  failed: number;
  seconds: number;
  /** From the final dot to its 250. */
  ackMs: Distribution;
}

/** Closed loop: every connection sends its next mail as soon as the last one was acknowledged. */
export async function runIntake(job: IntakeJob): Promise<IntakeResult> {
  const load = new IntakeLoad(job);
  const startMs = performance.now();
  load.endMs = startMs + job.seconds * 1000;
  await Promise.all(Array.from({ length: job.connections }, () => load.runLane()));
  const seconds = (performance.now() - startMs) / 1000;
  return { mails: load.ackMs.length, failed: load.failed, seconds, ackMs: distribution(load.ackMs) };
}

class IntakeLoad {
  endMs = 0;
  failed = 0;
  readonly ackMs: number[] = [];
  readonly #job: IntakeJob;
  readonly #sample: SampleMail;

  constructor(job: IntakeJob) {
    this.#job = job;
    this.#sample = new SampleMail(job.target.to, job.mailBytes);
  }

  async runLane(): Promise<void> {
    while (performance.now() < this.endMs) {
      try {
        await this.#runConnection();
      } catch (error) {
        // A fault is shown in the report; a server that refuses everything ends the run.
        if (++this.failed > 100) throw error;
      }
    }
  }

  async #runConnection(): Promise<void> {
    const connection = await SmtpConnection.open(this.#job.target);
    try {
      do {
        await connection.begin();
        const sentMs = performance.now();
        await connection.finish(this.#sample.numbered(this.ackMs.length));
        this.ackMs.push(performance.now() - sentMs);
      } while (this.#job.kept && performance.now() < this.endMs);
      await connection.quit();
    } finally {
      connection.destroy();
    }
  }
}
