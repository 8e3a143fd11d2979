import { distribution, type Distribution } from "./distribution.ts";
import { Envelopes } from "./envelopes.ts";
import { SampleMails, type MailSize, type MailWriter } from "./sample-mail.ts";
import { SmtpLane, type LaneOwner, type SmtpTarget } from "./smtp-lane.ts";

export interface IntakeJob {
  kind: "intake";
  target: SmtpTarget;
  /** Mail number n goes to one of these, which take turns. */
  recipients: readonly string[];
  connections: number;
  /** Connections stay open from mail to mail; otherwise each mail has its own. */
  kept: boolean;
  /** MAIL, RCPT and DATA in one piece; otherwise each waits for its reply. */
  pipelined: boolean;
  seconds: number;
  size: MailSize;
  /** In the Message-ID of every mail, so that the mails of each run are known apart. Letters and digits. */
  token: string;
}

export interface IntakeResult {
  /** Mails that were acknowledged. Where none failed, these are the numbers from 0 on. */
  mails: number;
  /** Mails that were not, for whatever reason. */
  failed: number;
  /** From the first mail to the last acknowledgement; on kept connections everybody is greeted before. */
  seconds: number;
  /** From the final dot to its 250. */
  ackMs: Distribution;
  /** Processor time of the generator itself. */
  cpuSeconds: number;
}

const maxFailures = 100;
/** How long the mails in flight may take at the end. */
const patienceMs = 30_000;
const readBytes = 65_536;

/**
 * Closed loop: every connection sends its next mail as soon as the last one was acknowledged. Rejects when the server refuses
 * again and again or falls silent.
 */
export async function runIntake(job: IntakeJob): Promise<IntakeResult> {
  const cpuBefore = process.cpuUsage();
  const load = new IntakeLoad(job);
  const silence = setTimeout(
    () => load.fail(new Error("The server does not answer any more")),
    job.seconds * 1000 + patienceMs,
  );
  try {
    await load.run();
  } finally {
    clearTimeout(silence);
    load.destroy();
  }
  const cpu = process.cpuUsage(cpuBefore);
  return { ...load.result(), cpuSeconds: (cpu.user + cpu.system) / 1e6 };
}

interface MailInFlight {
  writer: MailWriter;
  number: number;
  sentMs: number;
}

class IntakeLoad implements LaneOwner {
  readonly #job: IntakeJob;
  readonly #mails: SampleMails;
  readonly #envelopes: Envelopes;
  readonly #readBuffer = Buffer.allocUnsafe(readBytes);
  readonly #lanes = new Map<SmtpLane, MailInFlight>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #ackMs: number[] = [];
  #waiting: SmtpLane[] | null;
  #startMs: number;
  #endMs: number;
  #lastMs = 0;
  #nextNumber = 0;
  #failed = 0;

  constructor(job: IntakeJob) {
    this.#job = job;
    this.#mails = new SampleMails(job.size, job.token);
    this.#envelopes = new Envelopes(job.recipients, job.pipelined);
    this.#waiting = job.kept ? [] : null;
    this.#startMs = performance.now();
    this.#endMs = this.#startMs + job.seconds * 1000;
  }

  run(): Promise<void> {
    for (let lane = 0; lane < this.#job.connections; lane++) this.#open(this.#mails.writer());
    return this.#ended.promise;
  }

  fail(error: Error): void {
    this.#ended.reject(error);
  }

  destroy(): void {
    for (const lane of this.#lanes.keys()) lane.destroy();
  }

  result(): Omit<IntakeResult, "cpuSeconds"> {
    return {
      mails: this.#ackMs.length,
      failed: this.#failed,
      seconds: Math.max(this.#lastMs - this.#startMs, 1) / 1000,
      ackMs: distribution(this.#ackMs),
    };
  }

  greeted(lane: SmtpLane): void {
    if (this.#waiting === null) return this.#begin(lane);
    this.#waiting.push(lane);
    if (this.#waiting.length < this.#job.connections) return;
    const lanes = this.#waiting;
    this.#waiting = null;
    this.#startMs = performance.now();
    this.#endMs = this.#startMs + this.#job.seconds * 1000;
    for (const one of lanes) if (this.#lanes.has(one)) this.#begin(one);
  }

  ready(lane: SmtpLane): void {
    const flight = this.#flightOf(lane);
    flight.sentMs = performance.now();
    lane.send(flight.writer, flight.number);
  }

  stored(lane: SmtpLane): void {
    this.#lastMs = performance.now();
    this.#ackMs.push(this.#lastMs - this.#flightOf(lane).sentMs);
    if (this.#job.kept && this.#lastMs < this.#endMs) this.#begin(lane);
    else lane.quit();
  }

  closed(lane: SmtpLane, error: Error | null): void {
    const { writer } = this.#flightOf(lane);
    this.#lanes.delete(lane);
    // A fault is shown in the report; a server that refuses everything ends the run.
    if (error !== null && ++this.#failed > maxFailures) this.fail(error);
    else if (performance.now() < this.#endMs) this.#open(writer);
    else if (this.#lanes.size === 0) this.#ended.resolve();
  }

  #open(writer: MailWriter): void {
    const lane = new SmtpLane(this.#job.target, this, this.#readBuffer);
    this.#lanes.set(lane, { writer, number: 0, sentMs: 0 });
  }

  #begin(lane: SmtpLane): void {
    const flight = this.#flightOf(lane);
    flight.number = this.#nextNumber++;
    lane.begin(this.#envelopes.of(flight.number));
  }

  #flightOf(lane: SmtpLane): MailInFlight {
    const flight = this.#lanes.get(lane);
    if (flight === undefined) throw new Error("A lane that is not of this load");
    return flight;
  }
}
