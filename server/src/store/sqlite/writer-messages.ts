import type { ErrorName } from "../../errors.ts";
import type { Operations } from "./operations.ts";
import type { PlacedMail, RawFileSizes } from "./raw-file.ts";

/** What the calling thread sends to the writer. */
export type ToWriter =
  | { kind: "jobs"; jobs: PackedJobs }
  /** The side thread has copied most of the log into the database; the writer does the rest and starts it anew. */
  | { kind: "finish-checkpoint" }
  /** A raw file was made, for the mails that come next. */
  | { kind: "raw-file"; id: number }
  /** Ends the thread after everything that was sent before. */
  | { kind: "close" };

/** One change. Jobs take effect and are answered in the order they were sent. */
export type Job = MailJob | { kind: "call"; name: keyof Operations; input: unknown };

/**
 * Jobs on their way to the writer's thread. A row of plain values crosses over at a third of the cost of an object with
 * names (measured), and one buffer for many small mails at less than the buffer of each.
 */
export interface PackedJobs {
  readonly rows: readonly (MailRow | Extract<Job, { kind: "call" }>)[];
  /** The bytes of all mails that have none in their row, one after the other. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A mail as plain values, at the end for each recipient the user, the mailbox and the address. */
export type MailRow = readonly [
  raw: number | Uint8Array<ArrayBuffer>,
  envelopeFrom: string,
  mailFrom: string,
  subject: string,
  /** `null` where it is to be found in raw, or to be read from it later. */
  content: string | null,
  contentStart: number,
  /** 0: it is not in raw as it is. */
  contentEnd: number,
  receivedAtMs: number,
  defects: readonly string[] | null,
  ip: string | null,
  helo: string,
  transmission: string,
  ...recipients: (number | string)[],
];

export interface MailJob extends PlacedMail {
  kind: "mail";
  /** Memory that nobody needs once this job is done. */
  ends?: Uint8Array<ArrayBuffer>;
}

/** What the writer sends back. */
export type FromWriter =
  /** Somebody else has changed the database. */
  | { kind: "foreign-change" }
  | { kind: "ready" }
  /** The answer to each `finish-checkpoint`, done or not. */
  | { kind: "checkpoint-finished" }
  /** The database cannot be used: the thread is at its end. `reason` is for people. */
  | { kind: "unusable"; reason: string }
  /** One for each job, in order, after the sync. */
  | { kind: "outcomes"; outcomes: Outcome[]; logBytes: number; rawFileNeed: number | null };

export type Outcome =
  /** Of a mail: the ids of its recipients in their order, 0 where the mailbox is gone; of one recipient the id alone. */
  | number
  | number[]
  | { kind: "done"; value: unknown }
  | { kind: "refused"; errorName: ErrorName; detail: string | null };

/** What the writer's thread is started with. */
export interface WriterStart {
  file: string;
  /** Only for the one process that serves the database; `null`: all raw mails stay in the database. */
  rawFiles: RawFileSizes | null;
}
