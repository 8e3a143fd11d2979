import { once } from "node:events";
import { redactKeys } from "../log.ts";
import { textTable, type Column } from "./text-table.ts";

/** Results on standard output: for people, or with `--json` one line of JSON for each result. */
export class Output {
  readonly isJson: boolean;

  constructor(options: { json: boolean }) {
    this.isJson = options.json;
  }

  /** Prints one result: `value` for programs, `text` for people. */
  async result(value: object, text: string): Promise<void> {
    await this.write(this.isJson ? jsonLine(value) : text);
  }

  /** Prints a list: an array for programs; for people a table, or `whenEmpty`. */
  async list<T extends object>(
    items: readonly T[],
    view: { columns: readonly Column[]; row: (item: T) => string[]; whenEmpty: string },
  ): Promise<void> {
    const text = items.length === 0 ? `${view.whenEmpty}\n` : textTable(view.columns, items.map(view.row));
    await this.result(items, text);
  }

  /** Writes to standard output as it is; resolves when there is room for more. */
  async write(chunk: string | Uint8Array): Promise<void> {
    if (!process.stdout.write(chunk) && !process.stdout.destroyed) await once(process.stdout, "drain");
  }
}

/** One line of JSON that a terminal shows and does not obey. */
function jsonLine(value: object): string {
  const escape = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return `${JSON.stringify(value).replace(/[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, escape)}\n`;
}

/** A word to the person on standard error, so that results stay clean. Keys are redacted. */
export function note(text: string): void {
  process.stderr.write(`${redactKeys(text)}\n`);
}

/** Says on standard error why a command failed: a line for people, or with `--json` an object. Keys are redacted. */
export function reportFailure(failure: { code: string; message: string }, options: { json: boolean }): void {
  const { code, message } = failure;
  note(options.json ? JSON.stringify({ error: message, code }) : `error: ${message}`);
}
