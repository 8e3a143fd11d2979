import { createSocket, type RemoteInfo, type Socket as DatagramSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { AUTHORITATIVE_ANSWER, decode, encode, TRUNCATED_RESPONSE, type Answer, type DecodedPacket } from "dns-packet";

/** One record of a zone. */
export interface ZoneRecord {
  type: "A" | "AAAA" | "CNAME" | "MX" | "PTR" | "TLSA" | "TXT";
  /** A text, `priority host` of an MX, `usage selector type hex` of a TLSA, or the chunks of a TXT. */
  data: string | readonly string[];
  /** Seconds; 300 when left out. */
  ttl?: number;
}

/** What a name does in place of answering from its records. */
export type Misconduct = "hang" | "servfail" | "refused" | "garbage" | "foreign-id";

const rcodes = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 };

/**
 * A DNS server on the loopback, over UDP and TCP on one port. It answers from a table, follows aliases as a resolver does,
 * and misbehaves where a test wants it to. What does not fit into 512 bytes is cut off over UDP.
 */
export class DnsServer implements AsyncDisposable {
  /** Every question, as `TYPE name`, in the order of their arrival; over TCP with `tcp ` before it. */
  readonly questions: string[] = [];
  /** Records by lower-case name. A name that is not here does not exist. */
  readonly zone = new Map<string, ZoneRecord[]>();
  readonly misconduct = new Map<string, Misconduct>();
  /** Names that answer nothing about types that they have no record of. */
  readonly halfDead = new Set<string>();
  /** Nothing is answered at all. */
  isSilent = false;
  /** Seconds that a name which is not there may be remembered; 0 leaves the SOA out. */
  negativeTtl = 60;
  readonly #udp: DatagramSocket;
  readonly #tcp: Server;
  readonly #sockets = new Set<Socket>();

  static async start(): Promise<DnsServer> {
    // The same port has to be free for both.
    for (;;) {
      const tcp = createServer();
      tcp.listen(0, "127.0.0.1");
      await once(tcp, "listening");
      const udp = createSocket("udp4");
      try {
        udp.bind((tcp.address() as AddressInfo).port, "127.0.0.1");
        await once(udp, "listening");
        return new DnsServer(udp, tcp);
      } catch {
        tcp.close();
      }
    }
  }

  private constructor(udp: DatagramSocket, tcp: Server) {
    this.#udp = udp;
    this.#tcp = tcp;
    udp.on("message", (bytes, from) => this.#answerUdp(bytes, from));
    tcp.on("connection", (socket) => this.#answerTcp(socket));
  }

  /** As a `dns_servers` setting. */
  get setting(): string {
    return `127.0.0.1:${this.port}`;
  }

  get port(): number {
    return this.#udp.address().port;
  }

  /** Adds a record to a name. */
  add(name: string, type: ZoneRecord["type"], data: ZoneRecord["data"], ttl?: number): this {
    const record: ZoneRecord = ttl === undefined ? { type, data } : { type, data, ttl };
    this.zone.set(name.toLowerCase(), [...(this.zone.get(name.toLowerCase()) ?? []), record]);
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const closed = [once(this.#udp, "close"), once(this.#tcp, "close")];
    this.#udp.close();
    this.#tcp.close();
    await Promise.all(closed);
  }

  #answerUdp(bytes: Buffer, from: RemoteInfo): void {
    const answer = this.#answer(bytes, "");
    if (answer === null) return;
    const whole = encode(answer);
    const { id, questions } = answer;
    const cut = encode({ type: "response", id: id ?? 0, flags: TRUNCATED_RESPONSE, questions: questions ?? [] });
    this.#udp.send(whole.length > 512 ? cut : whole, from.port, from.address);
  }

  #answerTcp(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    let bytes = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length < 2 || bytes.length < 2 + bytes.readUInt16BE(0)) return;
      const answer = this.#answer(bytes.subarray(2), "tcp ");
      if (answer === null) return;
      const message = encode(answer);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(message.length);
      socket.end(Buffer.concat([length, message]));
    });
  }

  /** `null`: say nothing. */
  #answer(bytes: Buffer, over: string): (Partial<DecodedPacket> & { id: number }) | null {
    const { id = 0, questions = [] } = decode(bytes);
    const [question] = questions;
    if (question === undefined) return null;
    const name = question.name.toLowerCase();
    this.questions.push(`${over}${question.type} ${name}`);
    const wrong = this.misconduct.get(name);
    if (this.isSilent || wrong === "hang") return null;
    const answers = this.#recordsOf(name, question.type);
    if (answers.length === 0 && this.halfDead.has(name)) return null;
    const exists = name === "." || name === "" || this.zone.has(name);
    const rcode = wrong === "servfail" ? "SERVFAIL" : wrong === "refused" ? "REFUSED" : exists ? "NOERROR" : "NXDOMAIN";
    return {
      type: "response",
      id: wrong === "foreign-id" ? (id + 1) % 65_536 : id,
      flags: AUTHORITATIVE_ANSWER | rcodes[rcode],
      questions: wrong === "garbage" ? [] : questions,
      answers,
      authorities: answers.length > 0 || this.negativeTtl === 0 ? [] : [soa(this.negativeTtl)],
    };
  }

  #recordsOf(name: string, type: string, depth = 0): Answer[] {
    const records = this.zone.get(name) ?? [];
    const found = records.filter((record) => record.type === type).map((record) => answerOf(name, record));
    const alias = records.find((record) => record.type === "CNAME");
    if (found.length > 0 || alias === undefined || depth > 5) return found;
    return [answerOf(name, alias), ...this.#recordsOf(String(alias.data).toLowerCase(), type, depth + 1)];
  }
}

function answerOf(name: string, { type, data, ttl = 300 }: ZoneRecord): Answer {
  if (type === "TXT") return { type, name, ttl, data: typeof data === "string" ? chunksOf(data) : [...data] };
  const [first = "", second = "", third = "", fourth = ""] = String(data).split(" ");
  if (type === "TLSA") {
    const [usage, selector, matchingType] = [Number(first), Number(second), Number(third)];
    return { type, name, ttl, data: { usage, selector, matchingType, certificate: Buffer.from(fourth, "hex") } };
  }
  if (type === "MX") return { type, name, ttl, data: { preference: Number(first), exchange: second } };
  return { type, name, ttl, data: first };
}

/** A character string of DNS holds 255 octets. */
function chunksOf(text: string): string[] {
  return text.match(/[^]{1,255}/g) ?? [""];
}

function soa(minimum: number): Answer {
  const data = { mname: "ns.test", rname: "root.test", serial: 1, refresh: 1, retry: 1, expire: 1, minimum };
  return { type: "SOA", name: "test", ttl: minimum, data };
}
