import { setTimeout as delay } from "node:timers/promises";
import { distribution, type Distribution } from "./distribution.ts";
import { SampleMail, sequenceOf } from "./sample-mail.ts";
import { SmtpConnection, type SmtpTarget } from "./smtp-connection.ts";

export interface PushJob {
  kind: "push";
  target: SmtpTarget;
  /** URL of the WebSocket, with its key. */
  websocket: string;
  connections: number;
  mailsPerSecond: number;
  seconds: number;
  mailBytes: number;
}

export interface PushResult {
  sent: number;
  received: number;
  /** Frames that came twice or out of order. */
  misplaced: number;
  /**
   * From the final dot to the frame at the subscriber. A mail that found no free connection when it was due counts from
   * when it was due: a stall of the server is felt by every mail that it held up.
   */
  pushMs: Distribution;
  /** From the final dot (or when it was due, as above) to its 250. */
  ackMs: Distribution;
  /** How late the generator itself was; not part of the other times. */
  lateMs: Distribution;
}

/** How long the last frames may take to arrive. */
const patienceMs = 10_000;

/**
 * Open loop: mails are due at fixed times, whatever the server does. Connections stand ready behind 354, so that the
 * time starts with the content.
 */
export async function runPush(job: PushJob): Promise<PushResult> {
  const load = new PushLoad(job);
  const socket = await load.subscribe();
  const connections = await Promise.all(Array.from({ length: job.connections }, () => SmtpConnection.open(job.target)));
  try {
    // A lane that fails shows as lost mails.
    const lanes = Promise.allSettled(connections.map((connection) => load.runLane(connection)));
    await load.runClock();
    await Promise.race([Promise.all([load.arrived, lanes]), delay(patienceMs, undefined, { ref: false })]);
  } finally {
    for (const connection of connections) connection.destroy();
    socket.close();
  }
  return load.result();
}

interface DueMail {
  sequence: number;
  /** When it was due, if it had to wait for a connection; otherwise its time starts when it is sent. */
  sinceMs: number | null;
}

class PushLoad {
  readonly #job: PushJob;
  readonly #sample: SampleMail;
  readonly #total: number;
  /** Start of each mail's time, by its number. */
  readonly #sinceMs: number[] = [];
  readonly #pushMs: number[] = [];
  readonly #ackMs: number[] = [];
  readonly #lateMs: number[] = [];
  readonly #waitingMails: DueMail[] = [];
  readonly #readyLanes: ((mail: DueMail | null) => void)[] = [];
  readonly #arrived = Promise.withResolvers<void>();
  #isOver = false;
  #sent = 0;
  #misplaced = 0;
  #lastId = 0;

  constructor(job: PushJob) {
    this.#job = job;
    this.#sample = new SampleMail(job.target.to, job.mailBytes);
    this.#total = job.mailsPerSecond * job.seconds;
  }

  /** Resolves when every mail has arrived. */
  get arrived(): Promise<void> {
    return this.#arrived.promise;
  }

  async subscribe(): Promise<WebSocket> {
    const socket = new WebSocket(this.#job.websocket);
    socket.addEventListener("message", (event) => this.#receive(String(event.data)));
    const opened = Promise.withResolvers<void>();
    socket.addEventListener("open", () => opened.resolve());
    socket.addEventListener("close", (event) => opened.reject(new Error(`WebSocket closed: ${event.reason}`)));
    await opened.promise;
    return socket;
  }

  /** Sends mails over one connection, one at a time, until the clock has stopped. */
  async runLane(connection: SmtpConnection): Promise<void> {
    for (;;) {
      await connection.begin();
      const mail = this.#waitingMails.shift() ?? (await this.#nextMail());
      if (mail === null) return;
      const content = this.#sample.numbered(mail.sequence);
      const sinceMs = mail.sinceMs ?? performance.now();
      this.#sinceMs[mail.sequence] = sinceMs;
      await connection.finish(content);
      this.#ackMs.push(performance.now() - sinceMs);
    }
  }

  /** Makes mails due until all are; then ends the lanes that wait. */
  async runClock(): Promise<void> {
    const stepMs = 1000 / this.#job.mailsPerSecond;
    // The lanes get ready first.
    const startMs = performance.now() + 500;
    while (this.#sent < this.#total) {
      await delay(1);
      const nowMs = performance.now();
      for (let dueMs = startMs + this.#sent * stepMs; dueMs <= nowMs && this.#sent < this.#total; dueMs += stepMs) {
        this.#lateMs.push(nowMs - dueMs);
        this.#dispatch(this.#sent++, dueMs);
      }
    }
    this.#isOver = true;
    for (const give of this.#readyLanes.splice(0)) give(null);
  }

  result(): PushResult {
    return {
      sent: this.#sent,
      received: this.#pushMs.length,
      misplaced: this.#misplaced,
      pushMs: distribution(this.#pushMs),
      ackMs: distribution(this.#ackMs),
      lateMs: distribution(this.#lateMs),
    };
  }

  #dispatch(sequence: number, dueMs: number): void {
    const give = this.#readyLanes.shift();
    if (give === undefined) this.#waitingMails.push({ sequence, sinceMs: dueMs });
    else give({ sequence, sinceMs: null });
  }

  #nextMail(): Promise<DueMail | null> {
    if (this.#isOver) return Promise.resolve(null);
    return new Promise((resolve) => this.#readyLanes.push(resolve));
  }

  #receive(frame: string): void {
    const nowMs = performance.now();
    const { id, subject } = JSON.parse(frame) as { id: number; subject: string };
    const sequence = sequenceOf(subject);
    const sinceMs = this.#sinceMs[sequence];
    if (sinceMs === undefined) return;
    if (id <= this.#lastId) this.#misplaced++;
    this.#lastId = id;
    this.#pushMs.push(nowMs - sinceMs);
    if (this.#pushMs.length === this.#total) this.#arrived.resolve();
  }
}
