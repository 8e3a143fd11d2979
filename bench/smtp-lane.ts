import { Socket } from "node:net";
import type { MailWriter } from "./sample-mail.ts";

/** A server on the loopback, or by an address elsewhere: names are not looked up. */
export interface SmtpTarget {
  host: string;
  port: number;
}

/** What is said before the content, as bytes. */
export interface Envelope {
  /** MAIL alone; or MAIL, RCPT and DATA in one piece (RFC 2920), and nothing in {@link rcpt} and {@link data}. */
  mail: Buffer;
  rcpt: Buffer | null;
  data: Buffer | null;
}

/** Whoever drives a lane; called inside its socket's callbacks, so that no promise lies between a reply and what follows. */
export interface LaneOwner {
  /** Greeted: a mail can be begun. */
  greeted(lane: SmtpLane): void;
  /** The server waits for the content. */
  ready(lane: SmtpLane): void;
  /** 250 to the final dot. */
  stored(lane: SmtpLane): void;
  /** Gone: after QUIT with `null`, else with why. Called once. */
  closed(lane: SmtpLane, error: Error | null): void;
}

type Step = "greeting" | "hello" | "idle" | "mail" | "rcpt" | "data" | "ready" | "content" | "quit" | "closed";

const hello = Buffer.from("EHLO bench.example.com\r\n");
const quit = Buffer.from("QUIT\r\n");
const [two, three, dash, newline] = [0x32, 0x33, 0x2d, 0x0a];

/**
 * One SMTP connection at the least cost that a socket of Node allows: prepared bytes out, the first digit of each reply in.
 * A reply of another kind than expected ends it.
 */
export class SmtpLane {
  readonly #owner: LaneOwner;
  readonly #socket: Socket;
  #step: Step = "greeting";
  #envelope: Envelope | null = null;
  /** Where the next byte stands in its line, and what the line's code began with. */
  #column = 0;
  #digit = 0;
  #isLast = true;

  /** `readBuffer` may be shared by all lanes of a process: it is read in the same turn in which it was filled. */
  constructor(target: SmtpTarget, owner: LaneOwner, readBuffer: Uint8Array) {
    this.#owner = owner;
    const callback = (bytes: number, buffer: Uint8Array): boolean => {
      this.#take(buffer, bytes);
      return true;
    };
    this.#socket = new Socket({ onread: { buffer: readBuffer, callback } });
    this.#socket.connect({ ...target, autoSelectFamily: false });
    this.#socket.setNoDelay(true);
    this.#socket.on("error", (error) => this.#close(error));
    this.#socket.on("close", () => this.#close(new Error("The server closed the connection")));
  }

  /** Begins a mail, once greeted or after the last one. */
  begin(envelope: Envelope): void {
    this.#envelope = envelope;
    this.#step = "mail";
    this.#socket.write(envelope.mail);
  }

  /** Content and end mark, once {@link LaneOwner.ready}. */
  send(writer: MailWriter, number: number): void {
    this.#step = "content";
    writer.write(this.#socket, number);
  }

  /** Says goodbye; the lane is closed once that is answered. */
  quit(): void {
    this.#step = "quit";
    this.#socket.write(quit);
  }

  /** Closes without a word; {@link LaneOwner.closed} is not called. */
  destroy(): void {
    this.#step = "closed";
    this.#socket.destroy();
  }

  #take(buffer: Uint8Array, bytes: number): void {
    for (let at = 0; at < bytes; at++) {
      const byte = buffer[at];
      if (this.#column === 0) this.#digit = byte ?? 0;
      // "250-" goes on, "250 " is the last line of a reply (RFC 5321 section 4.2.1).
      else if (this.#column === 3) this.#isLast = byte !== dash;
      this.#column++;
      if (byte !== newline) continue;
      this.#column = 0;
      if (!this.#isLast) continue;
      const expected = this.#step === "data" ? three : two;
      if (this.#digit !== expected) return this.#refused(buffer, bytes);
      this.#advance();
    }
  }

  #advance(): void {
    switch (this.#step) {
      case "greeting":
        this.#step = "hello";
        this.#socket.write(hello);
        break;
      case "hello":
        this.#step = "idle";
        this.#owner.greeted(this);
        break;
      case "mail":
        this.#step = "rcpt";
        if (this.#envelope?.rcpt) this.#socket.write(this.#envelope.rcpt);
        break;
      case "rcpt":
        this.#step = "data";
        if (this.#envelope?.data) this.#socket.write(this.#envelope.data);
        break;
      case "data":
        this.#step = "ready";
        this.#owner.ready(this);
        break;
      case "content":
        this.#step = "idle";
        this.#owner.stored(this);
        break;
      case "quit":
        this.#close(null);
        break;
      default:
        this.#close(new Error(`A reply that nobody waited for while ${this.#step}`));
    }
  }

  #refused(buffer: Uint8Array, bytes: number): void {
    const text = Buffer.from(buffer.subarray(0, bytes)).toString("latin1").trim();
    this.#close(new Error(`Not the expected reply to ${this.#step}: ${text}`));
  }

  #close(error: Error | null): void {
    if (this.#step === "closed") return;
    this.destroy();
    this.#owner.closed(this, error);
  }
}
