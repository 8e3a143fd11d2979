import type { Address } from "../address.ts";
import { isRefusal } from "../errors.ts";

/** A command that could not do what was asked: one line for the person, a stable `code` for programs. */
export class Failure extends Error {
  override name = "Failure";
  readonly code: string;
  /** 1: it failed. 2: it was asked for in a way that cannot work. */
  readonly exitCode: 1 | 2;

  constructor(code: string, message: string, options: { exitCode?: 1 | 2 } = {}) {
    super(message);
    this.code = code;
    this.exitCode = options.exitCode ?? 1;
  }
}

/** Ends a command that has already said everything with an exit code other than 0. */
export class Exit extends Error {
  override name = "Exit";
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`exit ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/** What to throw in place of a refusal to make a mailbox: it names the address and what would help. Other errors stay as they are. */
export function explainAddress(error: unknown, address: Address): unknown {
  if (!isRefusal(error)) return error;
  const { code, text } = error.entry;
  if (code === "domain_unknown") {
    const { domain } = address;
    return new Failure(code, `${domain} is not served here yet. First: catmails domain add ${domain}`);
  }
  return new Failure(code, `${address.text}: ${text}.`);
}
