import type { Socket } from "node:net";
import { handshakeTimeoutMs, shakeHands, type Encryption, type HandshakeEnd } from "../encryption.ts";
import type { Logger } from "../log.ts";
import { onChunk } from "./direct-chunks.ts";
import type { SmtpLimits } from "./limits.ts";
import type { ConnectionCut, SmtpMetrics } from "./metrics.ts";
import { Pace } from "./pace.ts";
import { failed, greeting, type Protocol, type Reply } from "./replies.ts";
import type { Session } from "./session.ts";
import type { Patience } from "./stress.ts";
import { newIncident } from "./transaction.ts";
import type { WriteTurn, Writer } from "./write-turn.ts";

/** Input that may wait while an answer is being made; then the socket is no longer read. */
const maxQueuedBytes = 65_536;
/** What a queued chunk costs beside its bytes, so that a sender of single bytes is stopped early too. */
const chunkOverheadBytes = 512;
/** Replies collected before they are written, even if more input is at hand. */
const maxCollectedChars = 16_384;
/** Commands of one client that are answered before others get their turn. */
const maxCommandsPerTurn = 200;
/** How long the client may take to read our last words. Closing at once could destroy them on their way (TCP reset). */
const lingerMs = 2_000;
/** How long a mail that will be refused for its line ends may be silent: its end may be one that we do not count. */
const doomedPatienceMs = 5_000;

export interface ConnectionOptions {
  /** Shared by all connections. */
  turn: WriteTurn;
  protocol: Protocol;
  hostname: string;
  limits: SmtpLimits;
  /** Changes with how busy the door is. */
  patience: Patience;
  metrics: SmtpMetrics | undefined;
  log: Logger;
  remote: string;
  /** What TLS is spoken with. `null`: the session never asks for it. */
  encryption: Encryption | null;
  /** TLS comes before the greeting (RFC 8314 section 3). */
  isImplicitTls: boolean;
}

/**
 * The socket of one session: feeds it strictly in order, collects its replies into one write, bounds what waits on
 * either side, goes over to TLS, and closes so that the client still gets the last reply. Needs `allowHalfOpen`.
 */
export class Connection implements Writer {
  /** The plain one until TLS is asked for. When one of the two closes, so does the other. */
  #socket: Socket;
  readonly #session: Session;
  readonly #options: ConnectionOptions;
  readonly #pace: Pace;
  #receivedBytes = 0;
  #chunks: Buffer[] = [];
  /** Read so far of the first chunk. */
  #offset = 0;
  #queuedBytes = 0;
  #replies = "";
  #isFlushDue = false;
  #isRunning = false;
  /** Answered since others had their turn. */
  #commands = 0;
  /** An answer is being made by the house: silence is not the client's. */
  #isWaiting = false;
  #inputEnded = false;
  #isShakingHands = false;
  #isUnderTls = false;
  #closingAt: number | null = null;
  /** Everything is said on both sides: gone with what is held back. */
  #isLeaving = false;
  /** Something has come since {@link #activeAt}: the clock is not asked for each command. */
  #isActive = false;
  #activeAt = performance.now();

  constructor(socket: Socket, session: Session, options: ConnectionOptions) {
    this.#socket = socket;
    this.#session = session;
    this.#options = options;
    this.#pace = new Pace(options.limits, this.#activeAt);
    socket.on("close", () => session.abandon());
    if (options.isImplicitTls) this.#startTls();
    else {
      this.#listen();
      this.#greet();
    }
  }

  /** Ends at once with 421, or right after the reply to the mail in flight. */
  stop(): void {
    this.#session.stop();
    if (this.#isShakingHands) return void this.#socket.destroy();
    if (this.#closingAt !== null || this.#isRunning || this.#session.isReceiving) return;
    this.#reply(this.#session.expire("idle"));
    this.#close();
  }

  /** Closes a connection on which nothing, or too little, happened for too long. To be called now and then. */
  checkPace(nowMs: number): void {
    if (this.#closingAt !== null) {
      if (nowMs - this.#closingAt >= lingerMs) this.#socket.destroy();
      return;
    }
    // A handshake has a time of its own.
    if (this.#isShakingHands) return;
    if (this.#isActive) {
      this.#isActive = false;
      this.#activeAt = nowMs;
    }
    if (this.#isWaiting) return this.#pace.excuse();
    const { idleTimeoutMs } = this.#options.patience;
    const patienceMs = this.#session.isDoomed ? Math.min(doomedPatienceMs, idleTimeoutMs) : idleTimeoutMs;
    if (nowMs - this.#activeAt >= patienceMs) return this.#cut("idle");
    const { isReceiving, isInContent } = this.#session;
    const fault = this.#pace.judge(nowMs, { bytes: this.#receivedBytes, isSending: isReceiving || isInContent });
    if (fault !== null) this.#cut(fault);
  }

  /** Drops the connection; a mail in flight is either unfinished and gone, or already handed over. */
  destroy(): void {
    this.#socket.destroy();
  }

  #cut(why: ConnectionCut): void {
    const { metrics, log, remote } = this.#options;
    metrics?.connectionCut(why);
    log.debug({ reason: why, remote }, "SMTP connection cut");
    // It does not read what it was told, so it would not read a goodbye either.
    if (this.#socket.writableNeedDrain) return void this.#socket.destroy();
    this.#reply(this.#session.expire(why));
    this.#close();
  }

  #listen(): void {
    const { log, remote } = this.#options;
    this.#socket.on("error", (error) => log.debug({ err: error, remote }, "SMTP connection broke"));
    onChunk(this.#socket, this.#take);
    this.#socket.on("end", this.#endInput).on("drain", this.#goOn);
  }

  #greet(): void {
    this.#reply(greeting(this.#options.hostname, this.#options.protocol));
    this.#flushLater();
  }

  /** What comes from here on has to be a handshake: everything else, also what the plain socket has buffered, breaks it. */
  #startTls(): void {
    const { encryption, patience } = this.#options;
    if (encryption === null) throw new Error("TLS without certificates");
    const plain = this.#socket;
    plain.off("data", this.#take).off("end", this.#endInput).off("drain", this.#goOn).pause();
    this.#isShakingHands = true;
    shakeHands(plain, {
      optionsFor: (hello) => encryption.handshakeOptions(hello),
      timeoutMs: Math.min(handshakeTimeoutMs, patience.idleTimeoutMs),
      onEnd: (end) => this.#endHandshake(end),
    });
  }

  #endHandshake(end: HandshakeEnd): void {
    const { log, metrics, remote, isImplicitTls } = this.#options;
    this.#isShakingHands = false;
    metrics?.handshakeEnded(end.outcome);
    if (end.outcome !== "done") {
      log.info({ err: end.error, reason: end.outcome, remote }, "TLS handshake failed");
      return;
    }
    this.#socket = end.secure;
    this.#isUnderTls = true;
    const tls = end.secure.getProtocol() ?? "TLS";
    log.debug({ remote, tls, cipher: end.secure.getCipher().name }, "TLS is on");
    this.#session.startTls(tls);
    this.#activeAt = performance.now();
    this.#listen();
    if (isImplicitTls) this.#greet();
  }

  readonly #endInput = (): void => {
    this.#inputEnded = true;
    this.#goOn();
  };

  readonly #take = (chunk: Buffer): void => {
    if (this.#closingAt !== null) return;
    this.#receivedBytes += chunk.length;
    this.#chunks.push(chunk);
    this.#queuedBytes += chunk.length + chunkOverheadBytes;
    this.#goOn();
    if (this.#queuedBytes > maxQueuedBytes) this.#socket.pause();
  };

  /** Answers what is queued; a call while that is under way does nothing. */
  readonly #goOn = (): void => {
    if (this.#isRunning || this.#closingAt !== null) return;
    this.#isRunning = true;
    this.#commands = 0;
    this.#run();
  };

  /** The same, after a wait. */
  readonly #resume = (reply: Reply | void): void => {
    this.#isWaiting = false;
    if (typeof reply === "string") this.#reply(reply);
    this.#isActive = true;
    this.#run();
  };

  readonly #break = (error: unknown): void => {
    this.#isWaiting = false;
    this.#fail(error);
    this.#settle();
  };

  readonly #nextTurn = (): void => {
    this.#commands = 0;
    this.#run();
  };

  /** Answers one command after the other. Where it has to wait it goes on by itself: no promise of its own for each chunk. */
  #run(): void {
    try {
      while (!this.#session.isOver && !this.#session.awaitsTls && !this.#socket.writableNeedDrain) {
        const chunk = this.#chunks[0];
        if (chunk === undefined) break;
        if (this.#commands >= maxCommandsPerTurn) return void setImmediate(this.#nextTurn);
        const reply = this.#read(chunk);
        if (reply !== null && typeof reply !== "string") {
          this.#flushBefore();
          return this.#wait(reply);
        }
        if (reply !== null) this.#reply(reply);
        const { holdUp } = this.#session;
        if (holdUp !== null) return this.#wait(holdUp);
        // Bytes of a command that never ends are no sign of life; bytes of a mail are.
        if (reply !== null || this.#session.isInContent) this.#isActive = true;
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#settle();
  }

  #read(chunk: Buffer): Reply | Promise<Reply> | null {
    const reply = this.#session.read(chunk, this.#offset);
    this.#offset = this.#session.end;
    if (this.#offset >= chunk.length) {
      // Mostly there is only one, and to shift is slow.
      if (this.#chunks.length === 1) this.#chunks.pop();
      else this.#chunks.shift();
      this.#offset = 0;
      this.#queuedBytes -= chunk.length + chunkOverheadBytes;
    }
    if (this.#session.awaitsTls && this.#chunks.length > 0) return this.#session.refuseTls();
    return reply;
  }

  #flushBefore(): void {
    // A commit takes long enough to write first; a check of a recipient mostly ends before the next turn.
    if (this.#session.isReceiving) this.#flush();
    else this.#flushLater();
  }

  /** Meanwhile the client is not silent: it waits for us. */
  #wait(work: Promise<Reply | void>): void {
    this.#isWaiting = true;
    work.then(this.#resume, this.#break);
  }

  #settle(): void {
    this.#isRunning = false;
    if (this.#session.isOver || (this.#inputEnded && this.#chunks.length === 0)) return this.#close();
    if (this.#session.awaitsTls) {
      this.#flush();
      return this.#startTls();
    }
    this.#flushLater();
    if (this.#queuedBytes <= maxQueuedBytes && this.#socket.isPaused()) this.#socket.resume();
  }

  #fail(error: unknown): void {
    const incident = newIncident();
    this.#options.log.error({ err: error, incident, remote: this.#options.remote }, "SMTP session failed");
    this.#reply(failed(incident));
    this.#session.abandon();
  }

  #reply(reply: Reply): void {
    this.#commands++;
    this.#replies += `${reply}\r\n`;
    if (this.#replies.length > maxCollectedChars) this.#flush();
  }

  /** For {@link WriteTurn} only. */
  flush(): void {
    this.#isFlushDue = false;
    this.#flush();
    if (this.#isLeaving) this.#leave();
  }

  #flushLater(): void {
    if (this.#isFlushDue || this.#replies === "") return;
    this.#isFlushDue = true;
    this.#options.turn.add(this);
  }

  #flush(): void {
    if (this.#replies === "") return;
    if (this.#socket.writable) this.#socket.write(this.#replies, "latin1");
    this.#replies = "";
  }

  /**
   * Sends what is left and our FIN, then reads and drops until the client ends too or has lingered enough. Where it has
   * nothing more to say the socket goes at once, which saves a shutdown, a read and a turn: 10 % of a mail that comes alone.
   */
  #close(): void {
    if (this.#closingAt !== null) return;
    this.#closingAt = performance.now();
    const isSilent = this.#inputEnded || (this.#session.hasQuit && this.#chunks.length === 0);
    this.#chunks = [];
    this.#session.abandon();
    // TLS has a goodbye of its own.
    if (!isSilent || this.#isUnderTls) return this.#linger();
    this.#isLeaving = true;
    if (this.#replies === "") this.#leave();
    else this.#flushLater();
  }

  #linger(): void {
    this.#flush();
    this.#socket.end();
    this.#socket.resume();
  }

  /** What the system has not taken yet would be lost with the socket. */
  #leave(): void {
    if (this.#socket.writableLength > 0) this.#linger();
    else this.#socket.destroy();
  }
}
