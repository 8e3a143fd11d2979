import addressparser from "nodemailer/lib/addressparser";
import { parseAddress } from "../address.ts";
import { decodeOctets, decodeWords, plainLine } from "./header-text.ts";

/** One mailbox of an address field (RFC 5322 section 3.4). */
export interface MailAddress {
  /** Display name, decoded; "" when there is none. */
  readonly name: string;
  /** As it stands in the field, never decoded; "" when what is there is no address. */
  readonly address: string;
}

// Not an address by the letter, yet it names one and nothing else: an underscore in a domain, a local part with two dots.
const tolerable =
  /^[^\s"(),:;<>@[\\\]\u0000-\u001f\u007f-\u009f\ufffd]{1,64}@[^\s"(),:;<>@[\\\]\u0000-\u001f\u007f-\u009f\ufffd]{1,255}$/;

/**
 * The mailboxes of an address field, given as unfolded octets; groups are flattened. The field is split before anything
 * in it is decoded, so that an encoded word can never become an address (RFC 2047 section 5). Never throws.
 */
export function parseAddresses(value: string): MailAddress[] {
  return addressparser(parsable(value), { flatten: true }).map(({ name, address }) => ({
    name: plainLine(decodeWords(name)),
    address: usableAddress(address),
  }));
}

/** The first usable address of the field, "" when there is none; cheaper than the list. */
export function firstAddress(value: string): string {
  const plain = plainAddress(value);
  if (plain !== null) return plain;
  for (const { address } of addressparser(parsable(value), { flatten: true })) {
    const usable = usableAddress(address);
    if (usable !== "") return usable;
  }
  return "";
}

const plainName = /^(?:[\w .-]*|"[\w .,-]*" ?)$/;
const plainAddr = /^[\w.+=-]{1,64}@[\w.-]{1,255}$/;

/** The address of a field that holds one and nothing special, as most do, at a tenth of the parser's cost; `null` for all others. */
function plainAddress(value: string): string | null {
  const open = value.indexOf("<");
  if (open >= 0 && (!value.endsWith(">") || !plainName.test(value.slice(0, open)))) return null;
  const address = open < 0 ? value : value.slice(open + 1, -1);
  return plainAddr.test(address) ? address : null;
}

/** The parser drops control characters, which would make one address out of another; so they become what none can hold. */
function parsable(value: string): string {
  return decodeOctets(value).replace(/[\u0000-\u0008\u000a-\u001f\u007f]/g, "\ufffd");
}

function usableAddress(address: string): string {
  return tolerable.test(address) || parseAddress(address) !== null ? address.toWellFormed() : "";
}
