import { InvalidArgumentError } from "commander";
import { parseAddress, parseDomain, type Address } from "../address.ts";
import { parseDuration } from "../config.ts";

/** An address from the command line in canonical form. Throws Commander's `InvalidArgumentError`, as all of these do. */
export function addressArgument(text: string): Address {
  const address = parseAddress(text);
  if (address === null) throw new InvalidArgumentError("It is not a mail address.");
  return address;
}

/** Adds an address to those of an option or argument that may be repeated. */
export function addressesArgument(text: string, previous: readonly Address[] | undefined): Address[] {
  return [...(previous ?? []), addressArgument(text)];
}

/** The address of a mailbox: without a tag, because a tag belongs to a mailbox and does not make one. */
export function mailboxArgument(text: string): Address {
  const address = addressArgument(text);
  if (address.tag !== null || address.local.startsWith("+")) {
    throw new InvalidArgumentError("A mailbox has no + in its name; mail for name+tag reaches the mailbox of name.");
  }
  return address;
}

/** A domain name in canonical form. */
export function domainArgument(text: string): string {
  const name = parseDomain(text);
  if (name === null || name.startsWith("[")) throw new InvalidArgumentError("It is not a domain name.");
  return name;
}

/** A whole number, 0 or more. */
export function countArgument(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("It is not a whole number.");
  return Number(text);
}

/** A whole number, 1 or more. */
export function limitArgument(text: string): number {
  const count = countArgument(text);
  if (count === 0) throw new InvalidArgumentError("It is too small.");
  return count;
}

/** A moment to come, in milliseconds since the epoch: a duration from now (`30d`) or an ISO 8601 time, UTC where it names no zone. */
export function futureArgument(text: string): number {
  const durationMs = parseDuration(text);
  const atMs = durationMs === null ? parseIsoTime(text) : Date.now() + durationMs;
  if (atMs === null || !Number.isFinite(atMs)) {
    throw new InvalidArgumentError("Give a duration such as 12h or 30d, or a time such as 2030-01-31T12:00:00Z.");
  }
  if (atMs <= Date.now()) throw new InvalidArgumentError("It is in the past.");
  // The last moment that a date can hold.
  if (atMs > 8.64e15) throw new InvalidArgumentError("It is too far away.");
  return atMs;
}

function parseIsoTime(text: string): number | null {
  const match = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)(Z|[+-]\d\d:\d\d)?)?$/.exec(text);
  return match === null ? null : Date.parse(`${match[1]}T${match[2] ?? "00:00"}${match[3] ?? "Z"}`);
}
