import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { ReplyLinter } from "../support/reply-linter.ts";

/** The connection ended before the reply that was waited for. */
export class LinkLost extends Error {
  override name = "LinkLost";
}

export interface Delivery {
  envelopeFrom: string;
  recipients: readonly string[];
  /** Content as it goes over the wire: CRLF, dots stuffed, without the final dot. */
  wire: Buffer;
  /** Called with the recipients that were accepted, in the moment before the final dot is handed to the kernel. */
  onFinalDot?: (accepted: readonly string[]) => void;
}

/** One SMTP connection of a sender that pipelines what it may, on a bare socket. Replies are judged as they arrive. */
export class SmtpLink implements Disposable {
  readonly #socket: Socket;
  readonly #linter = new ReplyLinter();
  readonly #replies: string[] = [];
  #partial = "";
  #waiter: { resolve: (reply: string) => void; reject: (error: Error) => void } | null = null;
  #isLost = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true).setEncoding("latin1");
    socket.on("data", (chunk: string) => this.#take(chunk));
    socket.on("error", () => this.#lose());
    socket.on("close", () => this.#lose());
  }

  /**
   * Connects and says EHLO. Rejects with {@link LinkLost} when nobody listens or the greeting is a refusal. `signal` ends it,
   * also while it is being opened: whom a crowd has kept from being accepted is not told that the server has died.
   */
  static async open(port: number, signal?: AbortSignal): Promise<SmtpLink> {
    const socket = connect({ port, host: "127.0.0.1", ...(signal === undefined ? {} : { signal }) });
    const link = new SmtpLink(socket);
    try {
      await once(socket, "connect");
    } catch (error) {
      throw new LinkLost("could not connect", { cause: error });
    }
    const greeting = await link.#reply();
    if (!greeting.startsWith("220 ")) throw new LinkLost(greeting);
    await link.command("EHLO sender.example");
    return link;
  }

  /** Sends one line and answers its reply, with its code, lines joined by CRLF. */
  command(line: string): Promise<string> {
    this.#socket.write(`${line}\r\n`);
    return this.#reply();
  }

  /** Sends one mail and answers the reply that decided about it. */
  async deliver(mail: Delivery): Promise<string> {
    const envelope = [`MAIL FROM:<${mail.envelopeFrom}>`, ...mail.recipients.map((to) => `RCPT TO:<${to}>`), "DATA"];
    this.#socket.write(`${envelope.join("\r\n")}\r\n`);
    const sender = await this.#reply();
    const accepted: string[] = [];
    let refusal = sender;
    for (const recipient of mail.recipients) {
      const reply = await this.#reply();
      if (reply.startsWith("250 ")) accepted.push(recipient);
      // After a refused MAIL these are only out of sequence.
      else if (sender.startsWith("250 ")) refusal = reply;
    }
    const start = await this.#reply();
    if (!start.startsWith("354 ")) {
      await this.command("RSET");
      return refusal.startsWith("2") ? start : refusal;
    }
    this.#socket.write(mail.wire);
    mail.onFinalDot?.(accepted);
    this.#socket.write(".\r\n");
    return this.#reply();
  }

  /** Begins a mail, hands over half of it and breaks the connection. Resolves once that half has left. */
  async abandon(mail: Delivery): Promise<void> {
    this.#socket.write(`MAIL FROM:<${mail.envelopeFrom}>\r\n`);
    await this.#reply();
    for (const recipient of mail.recipients) await this.command(`RCPT TO:<${recipient}>`);
    await this.command("DATA");
    const half = mail.wire.subarray(0, mail.wire.length >> 1);
    await new Promise((resolve) => this.#socket.write(half, resolve));
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
    this.#lose();
  }

  #take(chunk: string): void {
    // A fault is an uncaught exception, which no harness can overlook.
    this.#linter.take(chunk);
    this.#partial += chunk;
    for (;;) {
      // The last line of a reply has a space after its code (RFC 5321 section 4.2.1).
      const end = /^(?:\d{3}-[^\n]*\n)*\d{3} [^\n]*\r\n/.exec(this.#partial)?.[0].length;
      if (end === undefined) return;
      const reply = this.#partial.slice(0, end - 2);
      this.#partial = this.#partial.slice(end);
      if (this.#waiter === null) this.#replies.push(reply);
      else this.#waiter.resolve(reply);
      this.#waiter = null;
    }
  }

  #reply(): Promise<string> {
    const next = this.#replies.shift();
    if (next !== undefined) return Promise.resolve(next);
    if (this.#isLost) return Promise.reject(new LinkLost("connection ended"));
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    this.#waiter = { resolve, reject };
    return promise;
  }

  #lose(): void {
    this.#isLost = true;
    this.#waiter?.reject(new LinkLost("connection ended"));
    this.#waiter = null;
  }
}
