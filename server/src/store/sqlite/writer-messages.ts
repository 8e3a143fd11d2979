import type { ErrorName } from "../../errors.ts";
import type { NewMail } from "../store.ts";
import type { Operations } from "./operations.ts";

/** What the calling thread sends to the writer. */
export type ToWriter =
  | { kind: "jobs"; jobs: Job[] }
  /** The side thread has copied most of the log into the database; the writer does the rest and starts it anew. */
  | { kind: "finish-checkpoint" }
  /** Ends the thread after everything that was sent before. */
  | { kind: "close" };

/** One change. Jobs take effect and are answered in the order they were sent. */
export type Job = { kind: "mail"; mail: NewMail } | { kind: "call"; name: keyof Operations; input: unknown };

/** What the writer sends back. */
export type FromWriter =
  /** Somebody else has changed the database. */
  | { kind: "foreign-change" }
  | { kind: "ready" }
  /** The database cannot be used: the thread is at its end. `reason` is for people. */
  | { kind: "unusable"; reason: string }
  /** One for each job, in order, after the sync. */
  | { kind: "outcomes"; outcomes: Outcome[]; logBytes: number };

export type Outcome =
  | { kind: "done"; value: unknown }
  | { kind: "refused"; errorName: ErrorName; detail: string | null };

/** What the writer's thread is started with. */
export interface WriterStart {
  file: string;
}
