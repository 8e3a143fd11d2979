import { hash } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";

/**
 * What a sender knows about one try to hand a mail over: `begun` never had its final dot handed to the kernel, `unknown`
 * had, but no reply was seen; so had one that was answered 4yz, which promises nothing.
 */
export type AttemptState = "begun" | "unknown" | "acknowledged" | "refused";

export interface Attempt {
  /** Recipients that were accepted; empty before the final dot. */
  recipients: readonly string[];
  state: AttemptState;
}

/** One mail and every try to hand it over. */
export interface LedgerEntry {
  token: string;
  sha256: string;
  attempts: readonly Attempt[];
}

type LedgerLine =
  | { event: "begun"; token: string; sha256: string }
  | { event: "dotted"; token: string; recipients: readonly string[] }
  | { event: "answered"; token: string; reply: string };

/** A sender's own book, on disk: each line is written before the step it is about, and all are synced at the end. */
export class Ledger implements Disposable {
  readonly path: string;
  readonly #file: number;
  #isClosed = false;

  constructor(path: string) {
    this.path = path;
    this.#file = openSync(path, "a");
  }

  /** A try begins; a mail that is sent again has one more of them. */
  begin(token: string, raw: Uint8Array): void {
    this.#write({ event: "begun", token, sha256: sha256(raw) });
  }

  /** The final dot is about to go out. */
  dot(token: string, recipients: readonly string[]): void {
    this.#write({ event: "dotted", token, recipients });
  }

  /** The server has decided. */
  answer(token: string, reply: string): void {
    this.#write({ event: "answered", token, reply });
  }

  /** Returns once everything written so far is on disk. */
  sync(): void {
    fsyncSync(this.#file);
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.sync();
    closeSync(this.#file);
  }

  #write(line: LedgerLine): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}

/** Reads a ledger back from its file. */
export function readLedger(path: string): Map<string, LedgerEntry> {
  const entries = new Map<string, { token: string; sha256: string; attempts: Attempt[] }>();
  for (const text of readFileSync(path, "utf8").split("\n")) {
    if (text === "") continue;
    const line = JSON.parse(text) as LedgerLine;
    const entry = entries.get(line.token) ?? { token: line.token, sha256: "", attempts: [] };
    entries.set(line.token, entry);
    if (line.event === "begun") {
      entry.sha256 = line.sha256;
      entry.attempts.push({ recipients: [], state: "begun" });
    } else {
      const last = entry.attempts.at(-1);
      if (last !== undefined) entry.attempts[entry.attempts.length - 1] = follow(last, line);
    }
  }
  return entries;
}

/** Hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  return hash("sha256", bytes, "hex");
}

function follow(attempt: Attempt, line: Exclude<LedgerLine, { event: "begun" }>): Attempt {
  if (line.event === "dotted") return { recipients: line.recipients, state: "unknown" };
  if (line.reply.startsWith("250 ")) return { ...attempt, state: "acknowledged" };
  // A mail that a failed sync answered 451 may be there after a restart; the sender will try again.
  return line.reply.startsWith("5") || attempt.state === "begun" ? { ...attempt, state: "refused" } : attempt;
}
