import { hash } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";

/**
 * What a sender knows about a mail: `begun` never had its final dot handed to the kernel, `unknown` had, but no reply
 * was seen; so had one that was answered 4yz, which promises nothing.
 */
export type MailState = "begun" | "unknown" | "acknowledged" | "refused";

export interface LedgerEntry {
  token: string;
  sha256: string;
  /** Recipients that were accepted; empty before the final dot. */
  recipients: readonly string[];
  state: MailState;
}

type LedgerLine =
  | { event: "begun"; token: string; sha256: string }
  | { event: "dotted"; token: string; recipients: readonly string[] }
  | { event: "answered"; token: string; reply: string };

/** A sender's own book, on disk: each line is written before the step it is about, and all are synced at the end. */
export class Ledger implements Disposable {
  readonly path: string;
  readonly #file: number;

  constructor(path: string) {
    this.path = path;
    this.#file = openSync(path, "a");
  }

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

  [Symbol.dispose](): void {
    fsyncSync(this.#file);
    closeSync(this.#file);
  }

  #write(line: LedgerLine): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}

/** Reads a ledger back from its file. */
export function readLedger(path: string): Map<string, LedgerEntry> {
  const entries = new Map<string, LedgerEntry>();
  for (const text of readFileSync(path, "utf8").split("\n")) {
    if (text === "") continue;
    const line = JSON.parse(text) as LedgerLine;
    const entry = entries.get(line.token) ?? { token: line.token, sha256: "", recipients: [], state: "begun" as const };
    entries.set(line.token, follow(entry, line));
  }
  return entries;
}

/** Hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  return hash("sha256", bytes, "hex");
}

function follow(entry: LedgerEntry, line: LedgerLine): LedgerEntry {
  if (line.event === "begun") return { ...entry, sha256: line.sha256 };
  if (line.event === "dotted") return { ...entry, recipients: line.recipients, state: "unknown" };
  if (line.reply.startsWith("250 ")) return { ...entry, state: "acknowledged" };
  // A mail that a failed sync answered 451 may be there after a restart; the sender will try again.
  return line.reply.startsWith("5") || entry.state === "begun" ? { ...entry, state: "refused" } : entry;
}
