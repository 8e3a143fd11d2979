import { connect, type Socket } from "node:net";

export interface SmtpTarget {
  host: string;
  port: number;
  to: string;
  /** MAIL, RCPT and DATA go out together (RFC 2920), as a real MTA sends them; otherwise each waits for its reply. */
  pipelined: boolean;
}

const readBytes = 4096;

/** An SMTP client that costs as little as possible: prepared bytes out, reply codes in. Any unexpected reply rejects. */
export class SmtpConnection {
  readonly #socket: Socket;
  readonly #pipelined: boolean;
  readonly #commands: { hello: Buffer; mail: Buffer; rcpt: Buffer; data: Buffer; envelope: Buffer; quit: Buffer };
  #replies: string[] = [];
  #rest = "";
  #waiting: PromiseWithResolvers<string> | null = null;
  #failure: Error | null = null;

  private constructor(target: SmtpTarget) {
    this.#pipelined = target.pipelined;
    const [mail, rcpt, data] = ["MAIL FROM:<bench@example.com>\r\n", `RCPT TO:<${target.to}>\r\n`, "DATA\r\n"] as const;
    this.#commands = {
      hello: Buffer.from("EHLO bench.example.com\r\n"),
      mail: Buffer.from(mail),
      rcpt: Buffer.from(rcpt),
      data: Buffer.from(data),
      envelope: Buffer.from(mail + rcpt + data),
      quit: Buffer.from("QUIT\r\n"),
    };
    this.#socket = connect({
      host: target.host,
      port: target.port,
      noDelay: true,
      // One buffer for the life of the connection: what was read is turned into text at once.
      onread: {
        buffer: Buffer.allocUnsafe(readBytes),
        callback: (bytes, buffer) => {
          this.#take(Buffer.from(buffer.buffer, buffer.byteOffset, bytes).toString("latin1"));
          return true;
        },
      },
    });
    this.#socket.on("error", (error) => this.#fail(error));
    this.#socket.on("close", () => this.#fail(new Error("The server closed the connection")));
  }

  /** Connects and says hello. */
  static async open(target: SmtpTarget): Promise<SmtpConnection> {
    const connection = new SmtpConnection(target);
    await connection.#expect("220");
    connection.#socket.write(connection.#commands.hello);
    await connection.#expect("250");
    return connection;
  }

  /** MAIL, RCPT and DATA; resolves when the server waits for the content. */
  async begin(): Promise<void> {
    const { mail, rcpt, data, envelope } = this.#commands;
    if (this.#pipelined) this.#socket.write(envelope);
    else this.#socket.write(mail);
    await this.#expect("250");
    if (!this.#pipelined) this.#socket.write(rcpt);
    await this.#expect("250");
    if (!this.#pipelined) this.#socket.write(data);
    await this.#expect("354");
  }

  /** Content and end mark in one write; resolves when the server has taken responsibility. */
  async finish(content: Buffer): Promise<void> {
    this.#socket.write(content);
    await this.#expect("250");
  }

  /** Says goodbye and closes. */
  async quit(): Promise<void> {
    this.#socket.write(this.#commands.quit);
    await this.#expect("221");
    this.#socket.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async #expect(code: string): Promise<void> {
    const reply = this.#replies.shift() ?? (await this.#nextReply());
    if (!reply.startsWith(code)) throw new Error(`Expected ${code}, got: ${reply}`);
  }

  #nextReply(): Promise<string> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  #take(chunk: string): void {
    const text = this.#rest + chunk;
    let start = 0;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", start)) {
      // "250-" goes on, "250 " is the last line of a reply (RFC 5321 section 4.2.1).
      if (text[start + 3] !== "-") this.#give(text.slice(start, end));
      start = end + 1;
    }
    this.#rest = text.slice(start);
  }

  #give(reply: string): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting === null) this.#replies.push(reply);
    else waiting.resolve(reply);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.reject(this.#failure);
    this.#waiting = null;
  }
}
