import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { ReplyLinter } from "./reply-linter.ts";

/** One reply as it came: all its lines, without line ends. */
export interface SmtpReply {
  code: number;
  lines: string[];
}

/**
 * A client that sends exactly what a test says, byte for byte. Everything that the server says is judged by a
 * {@link ReplyLinter} as it arrives, so that every SMTP test is a test of the form of replies too.
 */
export class SmtpClient implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #linter: ReplyLinter | null;
  readonly #waiters = new Set<() => void>();
  #received = "";
  #unread = 0;
  #hasEnded = false;
  #hasBroken = false;

  /** Connects to a port of the loopback or a Unix socket, without reading the greeting. What a server that is not ours says is not judged. */
  static async connect(to: number | string, { isOurs = true } = {}): Promise<SmtpClient> {
    const at = typeof to === "string" ? { path: to } : { port: to, host: "127.0.0.1", noDelay: true };
    const socket = connect({ ...at, allowHalfOpen: true });
    const client = new SmtpClient(socket, isOurs ? new ReplyLinter() : null);
    await once(socket, "connect");
    return client;
  }

  /** Connects, reads the greeting and says EHLO. Leaves nothing behind where that fails. */
  static async ready(port: number): Promise<SmtpClient> {
    await using stack = new AsyncDisposableStack();
    const client = stack.use(await SmtpClient.connect(port));
    assert.equal((await client.reply()).code, 220);
    assert.equal((await client.command("EHLO client.example")).code, 250);
    stack.move();
    return client;
  }

  /** Connects with TLS from the first byte, without reading the greeting. The server's certificate is not judged. */
  static async connectTls(port: number, options: ConnectionOptions = {}): Promise<SmtpClient> {
    const plain = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    await once(plain, "connect");
    return SmtpClient.#secured(plain, options, new ReplyLinter());
  }

  static async #secured(plain: Socket, options: ConnectionOptions, linter: ReplyLinter | null): Promise<SmtpClient> {
    const secure = connectTls({ rejectUnauthorized: false, ...options, socket: plain });
    await once(secure, "secureConnect");
    return new SmtpClient(secure, linter);
  }

  /** Goes over to TLS with STARTTLS; what is said from here on goes through the client that is returned. */
  async startTls(options: ConnectionOptions = {}): Promise<SmtpClient> {
    assert.equal((await this.command("STARTTLS")).code, 220);
    return SmtpClient.#secured(this.#socket, options, this.#linter);
  }

  private constructor(socket: Socket, linter: ReplyLinter | null) {
    this.#linter = linter;
    this.#socket = socket;
    const wake = (): void => {
      for (const waiter of this.#waiters) waiter();
    };
    socket.on("data", (chunk: Buffer) => {
      this.#received += chunk.toString("latin1");
      wake();
      // A fault is an uncaught exception, which no test can overlook.
      linter?.take(chunk);
    });
    socket.on("end", () => {
      this.#hasEnded = true;
      wake();
    });
    socket.on("error", () => {
      this.#hasBroken = true;
      wake();
    });
    socket.on("close", wake);
  }

  /** Everything the server sent so far. */
  get received(): string {
    return this.#received;
  }

  get socket(): Socket {
    return this.#socket;
  }

  /** Sends bytes as they are; resolves once the operating system has them. */
  async send(bytes: string | Buffer): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.write(bytes, () => resolve()));
  }

  /** Sends one line with its CRLF and reads the reply. */
  async command(line: string): Promise<SmtpReply> {
    await this.send(`${line}\r\n`);
    return this.reply();
  }

  /** Sends MAIL, RCPT and DATA for one mail to each address; fails where one is refused. */
  async startMail(from: string, ...to: string[]): Promise<void> {
    const lines = [`MAIL FROM:<${from}>`, ...to.map((address) => `RCPT TO:<${address}>`)];
    for (const line of lines) assert.equal((await this.command(line)).code, 250, line);
    assert.equal((await this.command("DATA")).code, 354);
  }

  /** The next whole reply. Fails when the connection ends first. */
  async reply(): Promise<SmtpReply> {
    for (;;) {
      const reply = this.#shiftReply();
      if (reply !== null) return reply;
      if (this.#isOver()) assert.fail(`no reply, the connection ended after:\n${this.#received}`);
      await this.#change();
    }
  }

  /** Reads so many replies and gives back their codes. */
  async codes(count: number): Promise<number[]> {
    const codes: number[] = [];
    while (codes.length < count) codes.push((await this.reply()).code);
    return codes;
  }

  /** Waits until the server has ended its side; fails if it sent anything unread, or broke the connection. */
  async closed(): Promise<void> {
    while (!this.#isOver()) await this.#change();
    assert.equal(this.#received.slice(this.#unread), "", "the server said more than expected");
    assert.equal(this.#hasBroken, false, "the connection was reset, which can destroy replies on their way");
  }

  /** Waits until the server has ended its side, however; gives back what it sent and nobody read. */
  async drained(): Promise<string> {
    while (!this.#isOver()) await this.#change();
    return this.#received.slice(this.#unread);
  }

  /** Ends our side and keeps reading. */
  endInput(): void {
    this.#socket.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
    if (!this.#socket.closed) await once(this.#socket, "close");
  }

  #isOver(): boolean {
    return this.#hasEnded || this.#hasBroken || this.#socket.closed;
  }

  #shiftReply(): SmtpReply | null {
    const lines: string[] = [];
    let at = this.#unread;
    for (;;) {
      const end = this.#received.indexOf("\r\n", at);
      if (end === -1) return null;
      const line = this.#received.slice(at, end);
      lines.push(line);
      at = end + 2;
      if (line[3] !== "-") break;
    }
    this.#unread = at;
    return { code: Number(lines[0]?.slice(0, 3)), lines };
  }

  async #change(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.add(resolve);
    await promise;
    this.#waiters.delete(resolve);
  }
}

/** The name the server under test greets with. */
export const serverName = "mx.test";
