import type { Address } from "../address.ts";
import type { Origin } from "../origin.ts";
import type { ByteBudget } from "./byte-budget.ts";
import { parseCommand, type Command } from "./commands.ts";
import { DataReader } from "./data.ts";
import type { SmtpLimits } from "./limits.ts";
import { LineReader, type Line, type LineFault } from "./lines.ts";
import { isPostmaster, needsUtf8, type Path } from "./paths.ts";
import { extensions, isError, isLast, replies, type Reply } from "./replies.ts";
import { Transaction, type Surroundings } from "./transaction.ts";

export interface SessionOptions {
  hostname: string;
  limits: SmtpLimits;
  /** Shared by all sessions of a server. */
  budget: ByteBudget;
  surroundings: Surroundings;
  /** Address of the client. */
  remote: string;
}

/**
 * One SMTP dialog (RFC 5321) without its socket: bytes in, replies out, one command after the other.
 * The caller waits for each reply before it reads on, and ends the connection once {@link isOver}.
 */
export class Session {
  /** Offset in the chunk just past what the last {@link read} used. */
  end = 0;
  readonly #options: SessionOptions;
  readonly #lines: LineReader;
  /** Since the client said hello. */
  #origin: Origin | null = null;
  #transaction: Transaction | null = null;
  #data: DataReader | null = null;
  #mails = 0;
  #errors = 0;
  #isCommitting = false;
  #isStopping = false;
  #isOver = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#lines = new LineReader(options.limits.maxLineBytes);
  }

  /** True after the last reply: nothing that the client still sends may be read. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** True from 354 until the reply to the mail. */
  get isReceiving(): boolean {
    return this.#data !== null;
  }

  /** True when the mail that is coming in will be refused and close the connection, see {@link expire}. */
  get isDoomed(): boolean {
    return this.#data?.hasBadLineEnds ?? false;
  }

  /** Mails transferred so far, refused ones included. */
  get mails(): number {
    return this.#mails;
  }

  /**
   * Reads from `start` on, until a reply is due or the chunk ends (`null`). The chunk is given away.
   * The reply may hold several lines.
   */
  read(chunk: Buffer, start: number): Reply | Promise<Reply> | null {
    if (this.#data !== null) {
      const isComplete = this.#data.read(chunk, start);
      this.end = this.#data.end;
      return isComplete ? this.#finishMail(this.#data) : null;
    }
    const line = this.#lines.read(chunk, start);
    this.end = this.#lines.end;
    if (line === null) return null;
    const reply = this.#answer(line);
    return typeof reply === "string" ? this.#account(reply) : this.#accountLater(reply);
  }

  /** Makes the session end with the mail in flight, if there is one; with 421 to the next command otherwise. */
  stop(): void {
    this.#isStopping = true;
  }

  /** The last reply to a client of which nothing came for too long, or which {@link stop} left waiting. */
  expire(): Reply {
    this.#isOver = true;
    if (this.isDoomed && this.#transaction !== null && this.#data !== null) {
      const { bytes } = this.#data;
      this.#data = null;
      return this.#transaction.refuse("bad_line_ends", bytes);
    }
    return this.#isStopping ? replies.stopping : replies.idle;
  }

  /** Gives back what an unfinished mail holds: the client is gone. A mail that was handed over stays handed over. */
  abandon(): void {
    this.#isOver = true;
    if (this.#data === null || this.#isCommitting) return;
    this.#data.release();
    this.#options.surroundings.metrics?.mailEnded("unfinished", this.#data.bytes);
    this.#data = null;
  }

  #answer(line: Line): Reply | Promise<Reply> {
    if (this.#isStopping) return replies.stopping;
    if (line.fault !== null) return lineFaults[line.fault];
    const command = parseCommand(line.text);
    switch (command.verb) {
      case "refused":
        return command.reply;
      case "EHLO":
      case "HELO":
        return this.#hello(command);
      case "MAIL":
        return this.#mail(command);
      case "RCPT":
        return this.#recipient(command.to);
      case "DATA":
        return this.#startMail();
      case "RSET":
        this.#transaction = null;
        return replies.ok;
      case "NOOP":
      case "VRFY":
      case "HELP":
      case "QUIT":
        break;
    }
    return simpleReplies[command.verb];
  }

  #hello({ verb, name }: Extract<Command, { verb: "EHLO" | "HELO" }>): Reply {
    const { hostname, limits, remote } = this.#options;
    this.#origin = { ip: remote, helo: name, transmission: verb === "EHLO" ? "ESMTP" : "SMTP" };
    this.#transaction = null;
    return verb === "EHLO" ? extensions(hostname, limits.maxMessageBytes) : `250 ${hostname}`;
  }

  #mail(command: Extract<Command, { verb: "MAIL" }>): Reply {
    const { limits, surroundings } = this.#options;
    const { from, parameters } = command;
    if (this.#origin === null) return replies.helloFirst;
    if (this.#transaction !== null) return replies.nestedMail;
    if (this.#mails >= limits.maxMails) return replies.tooManyMails;
    if (needsUtf8(from) && !parameters.smtpUtf8) return replies.needsUtf8;
    if (from.address === null && from.text !== "") return replies.badSender;
    if (parameters.sizeBytes > limits.maxMessageBytes) return replies.tooLarge;
    this.#transaction = new Transaction(
      { from: from.address?.text ?? "", parameters, origin: this.#origin },
      surroundings,
    );
    return replies.senderOk;
  }

  #recipient(to: Path): Reply | Promise<Reply> {
    const transaction = this.#transaction;
    if (transaction === null) return replies.mailFirst;
    if (needsUtf8(to) && !transaction.parameters.smtpUtf8) return replies.needsUtf8;
    const address: Address | null = to.address;
    if (address === null && !isPostmaster(to)) return replies.badRecipient;
    return transaction.addRecipient(address);
  }

  #startMail(): Reply {
    const { limits, budget } = this.#options;
    if (this.#transaction === null) return replies.mailFirst;
    if (!this.#transaction.hasRecipients) return replies.noRecipients;
    if (!budget.fits(Math.max(this.#transaction.parameters.sizeBytes, 1))) return replies.noRoom;
    this.#data = new DataReader(limits.maxMessageBytes, budget);
    return replies.startMail;
  }

  async #finishMail(data: DataReader): Promise<Reply> {
    const transaction = this.#transaction;
    if (transaction === null) throw new Error("mail without a transaction");
    this.#mails++;
    this.#isCommitting = true;
    try {
      const result = data.take();
      const reply =
        result.kind === "mail" ? await transaction.deliver(result.raw) : transaction.refuse(result.kind, data.bytes);
      return this.#account(reply);
    } finally {
      data.release();
      this.#isCommitting = false;
      this.#data = null;
      this.#transaction = null;
    }
  }

  async #accountLater(reply: Promise<Reply>): Promise<Reply> {
    return this.#account(await reply);
  }

  /** Counts errors, and says goodbye where this reply was the last. */
  #account(reply: Reply): Reply {
    if (isError(reply)) this.#errors++;
    this.#isOver = isLast(reply);
    if (this.#isOver) return reply;
    const hasTooManyErrors = this.#errors >= this.#options.limits.maxErrors;
    if (!this.#isStopping && !hasTooManyErrors) return reply;
    this.#isOver = true;
    return `${reply}\r\n${this.#isStopping ? replies.stopping : replies.tooManyErrors}`;
  }
}

/** Commands that neither need nor change anything. */
const simpleReplies = {
  NOOP: replies.ok,
  VRFY: replies.notVerified,
  HELP: replies.help,
  QUIT: replies.bye,
} as const;

const lineFaults: Readonly<Record<LineFault, Reply>> = {
  too_long: replies.lineTooLong,
  bare_line_end: replies.badLineEnd,
  bad_character: replies.badCharacter,
  not_utf8: replies.notUtf8,
};
