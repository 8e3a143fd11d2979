import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import type { Metrics } from "../metrics.ts";
import type { EndReason, Follower, FollowerSink, MailRecord } from "../mail/follower.ts";
import { closeFor, type Close } from "./close-code.ts";
import type { PushFrames } from "./push-frame.ts";

/** Limits of one open socket. */
export interface SocketLimits {
  /** Bytes queued on a socket above which nothing more is queued; one message of any size may enter an empty queue. */
  maxBufferedBytes: number;
  /** A full socket that takes nothing for this long is closed with 1013. */
  stallTimeoutMs: number;
  pingIntervalMs: number;
  /** A peer that is not heard for this long is dropped. */
  deadTimeoutMs: number;
}

/** Larger messages leave in fragments (RFC 6455 section 5.4), so that pings get between them and progress can be seen. */
const fragmentBytes = 256 * 1024;
/** Bytes of one turn that are gathered into one write to the connection. */
const gatheredBytes = 64 * 1024;
/** Messages, pings and unasked pongs a client may send in a window; it has nothing to say that would need more. */
const maxClientMessages = 100;
const clientWindowMs = 10_000;

function ignore(): void {}

interface Message {
  id: number;
  bytes: Buffer;
  sentBytes: number;
}

/**
 * One open WebSocket as the sink of a follower. Made before the handshake, so that the follower is in place before the
 * client sees the socket open; mail that comes earlier waits in the store, but for one.
 */
export class PushSocket implements FollowerSink {
  readonly #limits: SocketLimits;
  readonly #frames: PushFrames;
  readonly #metrics: Metrics;
  #open: { ws: WebSocket; connection: Duplex; follower: Follower } | null = null;
  /** Mail that came before the socket was open. */
  #held: MailRecord | null = null;
  /** Why the follower ended before the socket was open. */
  #ended: EndReason | null = null;
  /** The message that is leaving in fragments. */
  #partial: Message | null = null;
  /** The follower was told to pause. */
  #full = false;
  #closed = false;
  #gathered = 0;
  #isGathering = false;
  #progressMs = 0;
  #heardMs = 0;
  #pingedMs = 0;
  /** Pongs that nobody asked for (RFC 6455 section 5.5.3) count as messages. */
  #awaitsPong = false;
  #windowMs = 0;
  #clientMessages = 0;

  constructor(options: { limits: SocketLimits; frames: PushFrames; metrics: Metrics }) {
    this.#limits = options.limits;
    this.#frames = options.frames;
    this.#metrics = options.metrics;
  }

  /** Takes the socket over as soon as its handshake is written. `onClose` is called once, when the connection is gone. */
  attach(ws: WebSocket, connection: Duplex, follower: Follower, onClose: () => void): void {
    this.#open = { ws, connection, follower };
    this.#heardMs = this.#pingedMs = this.#windowMs = Date.now();
    ws.on("message", () => this.#hearMessage());
    ws.on("ping", (data: Buffer) => {
      this.#hearMessage();
      if (!this.#closed) ws.pong(data, false, this.#onFlushed);
    });
    ws.on("pong", () => {
      if (this.#awaitsPong) this.#hear();
      else this.#hearMessage();
      this.#awaitsPong = false;
    });
    // What a client does wrong ends its socket (1002, 1009) and is no news.
    ws.on("error", ignore);
    ws.on("close", () => {
      this.#closed = true;
      follower.close();
      onClose();
    });
    if (this.#ended !== null) this.end(this.#ended);
    else if (this.#held !== null && this.write(this.#held)) follower.resume();
  }

  /** Sends a mail; see {@link FollowerSink}. */
  write(mail: MailRecord): boolean {
    if (this.#open === null) {
      this.#held = mail;
      return false;
    }
    if (this.#closed) return false;
    this.#held = null;
    this.#metrics.pushedMails.inc();
    this.#send({ id: mail.id, bytes: this.#frames.of(mail), sentBytes: 0 });
    this.#full = this.#partial !== null || this.#open.ws.bufferedAmount >= this.#limits.maxBufferedBytes;
    return !this.#full;
  }

  /** Closes the socket for a reason of the feed's. */
  end(reason: EndReason): void {
    if (this.#open === null) this.#ended = reason;
    else this.close(reason === "shutdown" ? { code: 1001, reason: this.#cursorText() } : closeFor(reason));
  }

  /** Closes the socket because the server stops. */
  shutDown(): void {
    this.close({ code: 1001, reason: this.#cursorText() });
  }

  /** Pings, and closes a socket that is stalled or dead. To be called several times in the shortest of the limits. */
  tick(nowMs: number): void {
    if (this.#closed || this.#open === null) return;
    const { stallTimeoutMs, deadTimeoutMs, pingIntervalMs, maxBufferedBytes } = this.#limits;
    const { ws } = this.#open;
    if (nowMs - this.#windowMs >= clientWindowMs) {
      this.#windowMs = nowMs;
      this.#clientMessages = 0;
    }
    if (this.#full || ws.bufferedAmount >= maxBufferedBytes) {
      // Its pongs are stuck behind the queue, so only what it takes tells whether it lives.
      if (nowMs - this.#progressMs >= stallTimeoutMs) this.close({ code: 1013, reason: this.#cursorText() });
    } else if (nowMs - this.#heardMs >= deadTimeoutMs) {
      ws.terminate();
    } else if (nowMs - this.#pingedMs >= pingIntervalMs) {
      this.#pingedMs = nowMs;
      this.#awaitsPong = true;
      this.#noteStart(ws);
      ws.ping(undefined, false, this.#onFlushed);
    }
  }

  /** Says goodbye; the connection is cut if the client does not answer soon. Nothing is sent after it. */
  close({ code, reason }: Close): void {
    if (this.#closed || this.#open === null) return;
    this.#closed = true;
    this.#metrics.socketsClosed.inc({ code: String(code) });
    this.#open.follower.close();
    this.#flush();
    this.#open.ws.close(code, reason);
  }

  /**
   * The close frame comes after everything that was written before it, so whoever reads it has all mails up to the
   * follower's cursor, but for one that was not written to its end.
   */
  #cursorText(): string {
    const unsent = this.#partial ?? this.#held;
    return `since=${unsent === null ? (this.#open?.follower.cursor ?? 0) : unsent.id - 1}`;
  }

  #send(message: Message): void {
    if (message.bytes.byteLength > fragmentBytes) this.#partial = message;
    if (this.#partial === null) this.#queue(message.bytes, true);
    else this.#sendFragment(this.#partial);
  }

  #sendFragment(message: Message): void {
    const start = message.sentBytes;
    message.sentBytes = Math.min(start + fragmentBytes, message.bytes.byteLength);
    const isLast = message.sentBytes === message.bytes.byteLength;
    if (isLast) this.#partial = null;
    this.#queue(message.bytes.subarray(start, message.sentBytes), isLast);
  }

  #queue(bytes: Buffer, isLast: boolean): void {
    if (this.#open === null) return;
    const { ws } = this.#open;
    this.#noteStart(ws);
    this.#gather(bytes.byteLength);
    ws.send(bytes, { binary: false, fin: isLast }, this.#onFlushed);
  }

  /** One write to the connection for everything of this turn costs a fraction of one for each mail. */
  #gather(byteLength: number): void {
    this.#gathered += byteLength;
    if (!this.#isGathering) {
      this.#isGathering = true;
      this.#open?.connection.cork();
      process.nextTick(this.#flush);
    } else if (this.#gathered > gatheredBytes) {
      this.#flush();
    }
  }

  readonly #flush = (): void => {
    if (!this.#isGathering) return;
    this.#isGathering = false;
    this.#gathered = 0;
    this.#open?.connection.uncork();
  };

  /** An empty queue starts its time to make progress when something enters it. */
  #noteStart(ws: WebSocket): void {
    if (ws.bufferedAmount === 0) this.#progressMs = Date.now();
  }

  /** Called for everything that was handed to the operating system, in order. */
  readonly #onFlushed = (): void => {
    this.#progressMs = Date.now();
    if (this.#closed || !this.#full || this.#open === null) return;
    const { ws, follower } = this.#open;
    if (ws.bufferedAmount > this.#limits.maxBufferedBytes / 2) return;
    if (this.#partial !== null) {
      this.#sendFragment(this.#partial);
      return;
    }
    this.#full = false;
    this.#hear();
    follower.resume();
  };

  #hear(): void {
    this.#heardMs = Date.now();
  }

  #hearMessage(): void {
    this.#hear();
    this.#clientMessages++;
    if (this.#clientMessages > maxClientMessages) this.close({ code: 1008, reason: "Too many messages" });
    // It goes on without reading our goodbye.
    if (this.#clientMessages > 2 * maxClientMessages) this.#open?.ws.terminate();
  }
}
