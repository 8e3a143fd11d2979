import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, isIPv6 } from "node:net";
import type { Packet } from "dns-packet";
import { decodeAnswer, encodeQuestion, type RecordType } from "./dns-message.ts";

/** One DNS server. */
export interface DnsServer {
  host: string;
  port: number;
}

interface Question {
  name: string;
  type: RecordType;
}

/** A DNS message over TCP cannot be longer (RFC 1035 section 4.2.2). */
const maxTcpBytes = 65_535;

/**
 * Asks one server one question, over UDP and, where the answer does not fit, over TCP. Every question has a socket and
 * so a port of its own, and a random id: what does not answer it exactly is not heard (RFC 5452). Rejects when there
 * is no answer in time or the server cannot be reached.
 */
export async function askServer(server: DnsServer, question: Question, timeoutMs: number): Promise<Packet> {
  const signal = AbortSignal.timeout(timeoutMs);
  const asked = { ...question, id: randomInt(65_536) };
  const packet = await askOverUdp(server, asked, signal);
  return packet.flag_tc ? askOverTcp(server, asked, signal) : packet;
}

async function askOverUdp(
  server: DnsServer,
  asked: Question & { id: number },
  signal: AbortSignal,
): Promise<Packet & { flag_tc?: boolean }> {
  const socket = createSocket(isIPv6(server.host) ? "udp6" : "udp4");
  const { promise, resolve, reject } = Promise.withResolvers<Packet>();
  const giveUp = (): void => reject(new Error("no answer in time"));
  signal.addEventListener("abort", giveUp);
  socket.on("error", reject);
  socket.on("message", (bytes) => {
    const packet = decodeAnswer(bytes, asked);
    if (packet !== null) resolve(packet);
  });
  try {
    const question = encodeQuestion(asked.id, asked.name, asked.type);
    // Connected, so that the kernel hears nobody else and tells when nobody is there. It may be called with an error.
    socket.connect(server.port, server.host, (error?: Error) => {
      if (error === undefined) socket.send(question);
      else reject(error);
    });
    return await promise;
  } finally {
    signal.removeEventListener("abort", giveUp);
    socket.close();
  }
}

async function askOverTcp(server: DnsServer, asked: Question & { id: number }, signal: AbortSignal): Promise<Packet> {
  const socket = connect({ host: server.host, port: server.port, signal });
  try {
    const question = encodeQuestion(asked.id, asked.name, asked.type);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(question.length);
    await once(socket, "connect", { signal });
    socket.write(Buffer.concat([length, question]));
    const packet = decodeAnswer(await readMessage(socket), asked);
    if (packet === null) throw new Error("not an answer");
    return packet;
  } finally {
    socket.destroy();
  }
}

/** The first message on a connection. */
async function readMessage(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of chunks) {
    bytes = Buffer.concat([bytes, chunk]);
    const end = bytes.length < 2 ? maxTcpBytes : 2 + bytes.readUInt16BE(0);
    if (bytes.length >= end) return bytes.subarray(2, end);
  }
  throw new Error("the answer was cut off");
}
