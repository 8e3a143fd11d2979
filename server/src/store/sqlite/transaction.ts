import { isRefusal, messageOf, type Refusal } from "../../errors.ts";
import { type Connection, sqliteCode, sqliteCodes } from "./connection.ts";
import { insertMails } from "./mail-changes.ts";
import { operations } from "./operations.ts";
import type { Job, MailJob, Outcome } from "./writer-messages.ts";

/** The whole transaction was undone. `connectionIsSound` is false when the file can no longer be trusted as it is open. */
export class TransactionFailure extends Error {
  readonly connectionIsSound: boolean;

  constructor(cause: unknown, connectionIsSound: boolean) {
    super(messageOf(cause), { cause });
    this.connectionIsSound = connectionIsSound;
  }
}

/**
 * Runs jobs in order as one transaction and answers after the sync, one outcome each. A refusal undoes its own job only.
 * A job that fails by itself is refused `store_failed` and the others are stored all the same.
 * Throws {@link TransactionFailure} when nothing could be stored.
 */
export function runJobs(connection: Connection, jobs: readonly Job[]): Outcome[] {
  try {
    return runTogether(connection, jobs);
  } catch (error) {
    if (isTransactionFault(error)) throw failureOf(error);
    if (jobs.length === 1) return [refusedBecause(error)];
    return jobs.map((job) => runJobs(connection, [job])).flat();
  }
}

function runTogether(connection: Connection, jobs: readonly Job[]): Outcome[] {
  connection.change("BEGIN IMMEDIATE");
  try {
    const outcomes: Outcome[] = [];
    for (let at = 0; at < jobs.length; at = outcomes.length) {
      const mails = mailsFrom(jobs, at);
      if (mails.length > 0) outcomes.push(...insertMails(connection, mails));
      else outcomes.push(runCall(connection, jobs[at]));
    }
    connection.change("COMMIT");
    return outcomes;
  } catch (error) {
    rollBack(connection, error);
    throw error;
  }
}

/** The mails that stand next to one another from here on: their ids can be taken together. */
function mailsFrom(jobs: readonly Job[], start: number): MailJob[] {
  const mails: MailJob[] = [];
  for (let at = start; at < jobs.length; at++) {
    const job = jobs[at];
    if (job?.kind !== "mail") break;
    mails.push(job);
  }
  return mails;
}

function runCall(connection: Connection, job: Job | undefined): Outcome {
  if (job?.kind !== "call") throw new Error("not a call");
  // The caller's types hold: name and input come from one generic method on the other side.
  const operation = operations[job.name] as (connection: Connection, input: unknown) => unknown;
  connection.change("SAVEPOINT job");
  try {
    const value = operation(connection, job.input);
    connection.change("RELEASE job");
    return done(value);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    connection.change("ROLLBACK TO job");
    connection.change("RELEASE job");
    return refusedAs(error);
  }
}

function rollBack(connection: Connection, cause: unknown): void {
  try {
    if (connection.inTransaction) connection.change("ROLLBACK");
  } catch {
    throw new TransactionFailure(cause, false);
  }
}

const diskFaults: ReadonlySet<number> = new Set([
  sqliteCodes.noMemory,
  sqliteCodes.readOnly,
  sqliteCodes.io,
  sqliteCodes.corrupt,
  sqliteCodes.full,
  sqliteCodes.cantOpen,
  sqliteCodes.notADatabase,
]);

/** Faults that would hit every job alike, so that trying them one by one would only wait longer. */
function isTransactionFault(error: unknown): boolean {
  if (error instanceof TransactionFailure) return true;
  const code = sqliteCode(error);
  return code !== null && (code === sqliteCodes.busy || diskFaults.has(code));
}

function failureOf(error: unknown): TransactionFailure {
  if (error instanceof TransactionFailure) return error;
  return new TransactionFailure(error, sqliteCode(error) === sqliteCodes.busy);
}

function done(value: unknown): Outcome {
  return { kind: "done", value };
}

function refusedAs(refusal: Refusal): Outcome {
  return { kind: "refused", errorName: refusal.errorName, detail: null };
}

/** SQLite's messages name tables and columns, never values. */
export function refusedBecause(error: unknown): Outcome {
  return { kind: "refused", errorName: "store_failed", detail: messageOf(error) };
}
