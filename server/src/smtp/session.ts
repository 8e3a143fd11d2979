import type { Address } from "../address.ts";
import type { Encryption } from "../encryption.ts";
import type { Origin } from "../origin.ts";
import type { ByteBudget } from "./byte-budget.ts";
import { ChunkedMail } from "./chunked-mail.ts";
import type { ChunkReader } from "./chunks.ts";
import type { Spooling } from "./content.ts";
import { commandOf, type Command } from "./commands.ts";
import { DataReader } from "./data.ts";
import type { SmtpLimits } from "./limits.ts";
import { LineReader } from "./lines.ts";
import { isPostmaster, needsUtf8, type Path } from "./paths.ts";
import type { ConnectionCut } from "./metrics.ts";
import { extensions, isError, isLast, replies, type Protocol, type Reply } from "./replies.ts";
import type { Patience } from "./stress.ts";
import { Transaction, type Surroundings } from "./transaction.ts";

export interface SessionOptions {
  /** SMTP when nothing is said. */
  protocol?: Protocol;
  hostname: string;
  limits: SmtpLimits;
  /** Shared by all sessions of a server. */
  budget: ByteBudget;
  /** `null`: a mail that does not fit into the budget is put off. */
  spooling: Spooling | null;
  /** Changes with how busy the door is. */
  patience: Patience;
  surroundings: Surroundings;
  /** Address of the client. */
  remote: string;
  /** What STARTTLS is offered with; `null` where it is not. */
  encryption: Encryption | null;
}

/**
 * One SMTP or LMTP dialog (RFC 5321, RFC 2033) without its socket: bytes in, replies out, one command after the other.
 * The caller waits for each reply before it reads on, and ends the connection once {@link isOver}.
 */
export class Session {
  /** Offset in the chunk just past what the last {@link read} used. */
  end = 0;
  readonly #options: SessionOptions;
  #lines: LineReader;
  /** Since the client said hello. */
  #origin: Origin | null = null;
  #transaction: Transaction | null = null;
  #data: DataReader | null = null;
  /** From the first BDAT until the mail is answered or its envelope is dropped. */
  #chunks: ChunkedMail | null = null;
  #mails = 0;
  #errors = 0;
  /** The version that is spoken. */
  #tls: string | null = null;
  #awaitsTls = false;
  #isCommitting = false;
  #isStopping = false;
  #isOver = false;
  #hasQuit = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#lines = new LineReader(options.limits.maxLineBytes);
  }

  /** True after the last reply: nothing that the client still sends may be read. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** True once QUIT was answered: a client has nothing to say after it (RFC 5321 section 4.1.1.10). */
  get hasQuit(): boolean {
    return this.#hasQuit;
  }

  /** True while a mail comes in that may still be taken: from 354, or the first BDAT, until the reply to it. */
  get isReceiving(): boolean {
    return this.#data !== null || this.#chunks?.isRefused === false;
  }

  /** True when the next bytes are no command, but content of a mail, be it refused. */
  get isInContent(): boolean {
    return this.#data !== null || this.#chunks?.reader.isOpen === true;
  }

  /** True when the mail that is coming in will be refused and close the connection, see {@link expire}. */
  get isDoomed(): boolean {
    return this.#data?.hasBadLineEnds ?? false;
  }

  /**
   * True from the reply to STARTTLS until {@link startTls}: no byte that came in plain may be read any more. When some
   * are there already, {@link refuseTls} ends the session.
   */
  get awaitsTls(): boolean {
    return this.#awaitsTls;
  }

  /** While this is a promise nothing may be read: the mail that comes in needs room first. It never rejects. */
  get holdUp(): Promise<void> | null {
    return this.#data?.holdUp ?? this.#chunks?.reader.holdUp ?? null;
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
    if (this.#chunks?.reader.isOpen) {
      const isComplete = this.#chunks.reader.read(chunk, start);
      this.end = this.#chunks.reader.end;
      return isComplete ? this.#endChunk(this.#chunks) : null;
    }
    const line = this.#lines.read(chunk, start);
    this.end = this.#lines.end;
    if (line === null) return null;
    const command = commandOf(line);
    if (this.#isStopping && !(command.verb === "BDAT" && this.isReceiving)) return this.#account(replies.stopping);
    if (command.verb === "BDAT") return this.#openChunk(command);
    const reply = this.#answer(command);
    return typeof reply === "string" ? this.#account(reply) : this.#accountLater(reply);
  }

  /** TLS is on, in this version: the session begins anew (RFC 3207 section 4.2), but its limits go on counting. */
  startTls(version: string): void {
    this.#awaitsTls = false;
    this.#tls = version;
    this.#lines = new LineReader(this.#options.limits.maxLineBytes);
    this.#origin = null;
    this.#transaction = null;
  }

  /** The reply to STARTTLS, and the last one, when more came before it. */
  refuseTls(): Reply {
    this.#awaitsTls = false;
    this.#isOver = true;
    return replies.sentBeforeTls;
  }

  /** Makes the session end with the mail in flight, if there is one; with 421 to the next command otherwise. */
  stop(): void {
    this.#isStopping = true;
  }

  /** The last reply to a client that took too long, or which {@link stop} left waiting. */
  expire(why: ConnectionCut): Reply {
    this.#isOver = true;
    if (this.isDoomed && this.#transaction !== null && this.#data !== null) {
      const { bytes } = this.#data;
      this.#data = null;
      return this.#transaction.atEnd(this.#transaction.refuse("bad_line_ends", bytes));
    }
    return this.#isStopping ? replies.stopping : replies[why];
  }

  /** Gives back what an unfinished mail holds: the client is gone. A mail that was handed over stays handed over. */
  abandon(): void {
    this.#isOver = true;
    if (this.#isCommitting) return;
    this.#dropChunks();
    if (this.#data === null) return;
    this.#data.release();
    this.#options.surroundings.metrics?.mailEnded("unfinished", this.#data.bytes);
    this.#data = null;
  }

  #answer(command: Exclude<Command, { verb: "BDAT" }>): Reply | Promise<Reply> {
    switch (command.verb) {
      case "refused":
        return command.reply;
      case "EHLO":
      case "HELO":
      case "LHLO":
        return this.#hello(command);
      case "MAIL":
        return this.#mail(command);
      case "RCPT":
        return this.#recipient(command.to);
      case "DATA":
        return this.#startMail();
      case "STARTTLS":
        return this.#offerTls();
      case "RSET":
        this.#dropEnvelope();
        return replies.ok;
      case "QUIT":
        this.#hasQuit = true;
        return replies.bye;
      case "NOOP":
      case "VRFY":
      case "HELP":
        return simpleReplies[command.verb];
    }
  }

  #hello({ verb, name }: Extract<Command, { verb: "EHLO" | "HELO" | "LHLO" }>): Reply {
    const { protocol, hostname, limits, remote } = this.#options;
    if ((verb === "LHLO") !== (protocol === "lmtp")) {
      return protocol === "lmtp" ? replies.isLmtp : replies.unknownCommand;
    }
    this.#origin = { ip: remote, helo: name, transmission: transmissions[this.#tls === null ? "plain" : "tls"][verb] };
    this.#dropEnvelope();
    this.#options.surroundings.intake.expect?.(this.#origin);
    if (verb === "HELO") return `250 ${hostname}`;
    const startTls = this.#tls === null && this.#canStartTls;
    return extensions(hostname, { maxMessageBytes: limits.maxMessageBytes, startTls });
  }

  get #canStartTls(): boolean {
    return this.#options.encryption?.isReady ?? false;
  }

  #offerTls(): Reply {
    if (this.#tls !== null) return replies.alreadyTls;
    if (!this.#canStartTls) return replies.notImplemented;
    this.#awaitsTls = true;
    return replies.startTls;
  }

  #mail(command: Extract<Command, { verb: "MAIL" }>): Reply {
    const { protocol, limits, surroundings } = this.#options;
    const { from, parameters } = command;
    if (this.#origin === null) return protocol === "lmtp" ? replies.lhloFirst : replies.helloFirst;
    if (this.#transaction !== null) return replies.nestedMail;
    this.#dropChunks();
    if (this.#mails >= limits.maxMails) return replies.tooManyMails;
    if (needsUtf8(from) && !parameters.smtpUtf8) return replies.needsUtf8;
    if (from.address === null && from.text !== "") return replies.badSender;
    if (parameters.sizeBytes > limits.maxMessageBytes) return replies.tooLarge;
    const objection = this.#objection(surroundings);
    if (objection !== null) return objection;
    this.#transaction = new Transaction(
      { from: from.address?.text ?? "", parameters, origin: this.#origin, tls: this.#tls },
      surroundings,
    );
    return replies.senderOk;
  }

  /** Why no mail is taken now, however good it is. */
  #objection({ intake, metrics, visitor }: Surroundings): Reply | null {
    if (intake.hasRoom?.() === false) {
      metrics?.mailPutOff("no_room");
      return replies.noRoom;
    }
    if (visitor?.mayMail() === false) {
      metrics?.mailPutOff("too_fast");
      return replies.mailsTooFast;
    }
    return null;
  }

  #recipient(to: Path): Reply | Promise<Reply> {
    const transaction = this.#transaction;
    if (transaction === null) return replies.mailFirst;
    if (this.#chunks !== null) return replies.chunksOpen;
    if (needsUtf8(to) && !transaction.parameters.smtpUtf8) return replies.needsUtf8;
    const address: Address | null = to.address;
    if (address === null && !isPostmaster(to)) return replies.badRecipient;
    return transaction.addRecipient(address);
  }

  #startMail(): Reply {
    const { limits, budget, spooling } = this.#options;
    if (this.#transaction === null) return replies.mailFirst;
    if (this.#chunks !== null) return replies.chunksOpen;
    if (!this.#transaction.hasRecipients) return this.#noRecipients();
    this.#data = new DataReader(limits.maxMessageBytes, budget, spooling);
    return replies.startMail;
  }

  #noRecipients(): Reply {
    return this.#options.protocol === "lmtp" ? replies.noLmtpRecipients : replies.noRecipients;
  }

  /** The octets come right after the line, be it refused or not (RFC 3030 section 2): the reply is due after them. */
  #openChunk(chunk: Extract<Command, { verb: "BDAT" }>): Reply | Promise<Reply> | null {
    const mail = (this.#chunks ??= this.#openChunks());
    mail.begin(chunk);
    return chunk.bytes === 0 ? this.#endChunk(mail) : null;
  }

  #openChunks(): ChunkedMail {
    const { limits, budget, spooling } = this.#options;
    const transaction = this.#transaction;
    let refusal: Reply | null = null;
    if (transaction === null) refusal = replies.mailFirst;
    else if (!transaction.hasRecipients) refusal = this.#noRecipients();
    return new ChunkedMail({ transaction, refusal }, { maxBytes: limits.maxMessageBytes, budget, spooling });
  }

  /** Answers one chunk; `null` where no reply is due. */
  #endChunk(mail: ChunkedMail): Reply | Promise<Reply> | null {
    const outcome = mail.endChunk();
    if (outcome.kind === "whole") return this.#finishMail(mail.reader);
    if (mail.isLast) this.#dropEnvelope();
    // RFC 2033 section 4.3: as many replies as recipients, so none to a last chunk that had no recipient.
    return outcome.reply === "" ? null : this.#account(outcome.reply, outcome.isNewError);
  }

  #dropEnvelope(): void {
    this.#dropChunks();
    this.#transaction = null;
  }

  #dropChunks(): void {
    const mail = this.#chunks;
    if (mail === null) return;
    this.#chunks = null;
    if (this.#transaction !== null) this.#mails++;
    mail.reader.release();
    if (!mail.isRefused) this.#options.surroundings.metrics?.mailEnded("unfinished", mail.reader.bytes);
  }

  #finishMail(content: DataReader | ChunkReader): Reply | Promise<Reply> {
    this.#mails++;
    this.#isCommitting = true;
    const settling = content.settle();
    return settling === null ? this.#handOver(content) : settling.then(() => this.#handOver(content));
  }

  #handOver(content: DataReader | ChunkReader): Reply | Promise<Reply> {
    const transaction = this.#transaction;
    try {
      if (transaction === null) throw new Error("mail without a transaction");
      const result = content.take();
      if (result.kind === "mail") return this.#afterwards(content, transaction.deliver(result.raw));
      return this.#endMail(content, transaction.atEnd(transaction.refuse(result.kind, content.bytes)));
    } catch (error) {
      this.#forget(content);
      throw error;
    }
  }

  #afterwards(content: DataReader | ChunkReader, delivery: Promise<Reply>): Promise<Reply> {
    return delivery.then(
      (reply) => this.#endMail(content, reply),
      (error: unknown) => {
        this.#forget(content);
        throw error;
      },
    );
  }

  #endMail(content: DataReader | ChunkReader, reply: Reply): Reply {
    this.#forget(content);
    return this.#account(reply);
  }

  #forget(content: DataReader | ChunkReader): void {
    content.release();
    this.#isCommitting = false;
    this.#data = null;
    this.#chunks = null;
    this.#transaction = null;
  }

  async #accountLater(reply: Promise<Reply>): Promise<Reply> {
    return this.#account(await reply);
  }

  /** Counts errors, and says goodbye where this reply was the last. */
  #account(reply: Reply, isNewError = isError(reply)): Reply {
    if (isNewError) this.#errors++;
    this.#isOver = isLast(reply);
    if (this.#isOver) return reply;
    const hasTooManyErrors = this.#errors >= this.#options.patience.maxErrors;
    // A mail that comes in by chunks may still end.
    const isStopped = this.#isStopping && !this.isReceiving;
    if (!isStopped && !hasTooManyErrors) return reply;
    this.#isOver = true;
    return `${reply}\r\n${isStopped ? replies.stopping : replies.tooManyErrors}`;
  }
}

/** There is no word for HELO under TLS (RFC 3848). */
const transmissions = {
  plain: { EHLO: "ESMTP", HELO: "SMTP", LHLO: "LMTP" },
  tls: { EHLO: "ESMTPS", HELO: "SMTP", LHLO: "LMTPS" },
} as const;

/** Commands that neither need nor change anything. */
const simpleReplies = {
  NOOP: replies.ok,
  VRFY: replies.notVerified,
  HELP: replies.help,
} as const;
