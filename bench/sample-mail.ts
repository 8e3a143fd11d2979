import type { Socket } from "node:net";
import { mixTemplates, numberPlace, plainTemplate, subjectMark, type MailTemplate } from "./mail-templates.ts";

/** Plain mails of so many bytes each, or the mix of `mail-templates.ts`. */
export type MailSize = number | "mix";

const numberDigits = numberPlace.length;
/** A Message-ID is found within. */
const headBytes = 1024;
const endMark = ".\r\n";
/** Up to here a connection holds a copy of the whole mail; a second piece costs more than its bytes do beyond. */
const copiedBytes = 16 * 1024;

/**
 * Mails that differ in a number, which stands in their subject and Message-ID. A mail is known by its number and the
 * token of its run: both are in its Message-ID, and {@link SampleMails.bytesOf} makes it again to compare with.
 */
export class SampleMails {
  readonly #kinds: readonly MailKind[];
  readonly #kindOf: (number: number) => number;

  /** `size` counts a plain mail as it is stored, without the end mark; at least 1,000. `token`: letters and digits. */
  constructor(size: MailSize, token: string) {
    if (size === "mix") {
      const { templates, kindOf } = mixTemplates(token);
      this.#kinds = templates.map((template) => new MailKind(template));
      this.#kindOf = kindOf;
    } else {
      this.#kinds = [new MailKind(plainTemplate(size, token))];
      this.#kindOf = () => 0;
    }
  }

  /** The mail with this number as a server that changes nothing stores it. */
  bytesOf(number: number): Buffer {
    return this.kindOf(number).mail(number);
  }

  /** The subject of the mail with this number. */
  subjectOf(number: number): string {
    return `${subjectMark}${String(number).padStart(numberDigits, "0")}`;
  }

  /** What one connection sends mails with. */
  writer(): MailWriter {
    return new MailWriter(this);
  }

  kindOf(number: number): MailKind {
    const kind = this.#kinds[this.#kindOf(number)];
    if (kind === undefined) throw new Error(`No mail has the number ${number}`);
    return kind;
  }
}

/** Writes mails after 354, end mark included, without making anything anew. */
class MailWriter {
  readonly #mails: SampleMails;
  readonly #copies = new Map<MailKind, Buffer>();

  constructor(mails: SampleMails) {
    this.#mails = mails;
  }

  /** Only once the last mail of this writer was answered: its bytes are written over. */
  write(socket: Socket, number: number): void {
    const kind = this.#mails.kindOf(number);
    let copy = this.#copies.get(kind);
    if (copy === undefined) this.#copies.set(kind, (copy = kind.copy()));
    kind.stamp(copy, number);
    if (kind.rest === null) return void socket.write(copy);
    socket.cork();
    socket.write(copy);
    socket.write(kind.rest);
    socket.uncork();
  }
}

export type { MailWriter };

class MailKind {
  /** What follows {@link copy}, the same for all; `null`: the copy is everything. */
  readonly rest: Buffer | null;
  readonly #copied: Buffer;
  readonly #places: readonly number[];

  constructor({ head, body }: MailTemplate) {
    const isSmall = head.length + body.length <= copiedBytes;
    this.#copied = Buffer.from(isSmall ? head + body + endMark : head, "latin1");
    this.rest = isSmall ? null : Buffer.from(body + endMark, "latin1");
    this.#places = [...head.matchAll(new RegExp(numberPlace, "g"))].map(({ index }) => index);
  }

  copy(): Buffer {
    return Buffer.from(this.#copied);
  }

  stamp(copy: Buffer, number: number): void {
    let left = number;
    for (let digit = numberDigits - 1; digit >= 0; digit--) {
      const code = 48 + (left % 10);
      left = Math.floor(left / 10);
      for (const place of this.#places) copy[place + digit] = code;
    }
  }

  mail(number: number): Buffer {
    const copy = this.copy();
    this.stamp(copy, number);
    const whole = this.rest === null ? copy : Buffer.concat([copy, this.rest]);
    return whole.subarray(0, -endMark.length);
  }
}

/** The number of the sample mail that bytes speak of, such as a frame or an answer: the first subject in them; `null`: none. */
export function numberIn(bytes: Buffer): number | null {
  const at = bytes.indexOf(subjectMark);
  if (at === -1) return null;
  let number = 0;
  const end = at + subjectMark.length + numberDigits;
  for (let digit = at + subjectMark.length; digit < end; digit++) number = number * 10 + (bytes[digit] ?? 0) - 48;
  return number;
}

/** The token in the Message-ID of a sample mail; `null`: it has none. */
export function tokenIn(mail: Buffer): string | null {
  return /\r\nMessage-ID: <\d+\.(\w+)@/.exec(mail.toString("latin1", 0, headBytes))?.[1] ?? null;
}
