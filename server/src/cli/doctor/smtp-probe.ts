import type { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { messageOf, systemCodeOf } from "../../errors.ts";
import type { ListenAddress } from "../listen-address.ts";

const answerTimeoutMs = 5_000;
const maxReplyBytes = 16_384;

/** A certificate as a sender sees it after STARTTLS. */
export interface SeenCertificate {
  /** The leaf, then what it was sent with. */
  chain: X509Certificate[];
  /** Why a sender that looks closely would not take it for the name; `null`: it would. */
  fault: string | null;
}

/** What a mail server says for itself. */
export interface Greeting {
  /** Name in its 220; empty where it says none. */
  name: string;
  /** `null`: it has no STARTTLS, or was not asked. */
  certificate: SeenCertificate | null;
}

/**
 * Connects as a sender of mail would, sends none, and leaves. With `servername` it also goes over to TLS and looks at
 * the certificate for that name; `ca` is trusted in place of what Node trusts. Rejects with one line when nobody answers as SMTP.
 */
export async function probeSmtp(at: ListenAddress, look: { servername?: string; ca?: string } = {}): Promise<Greeting> {
  const socket = connect(at);
  const signal = AbortSignal.timeout(answerTimeoutMs);
  try {
    const greeting = await readReply(socket, signal);
    if (!greeting.startsWith("220")) throw new Error(`it answers ${JSON.stringify(greeting.slice(0, 60))}`);
    const name = /^220[ -](\S+)/.exec(greeting)?.[1]?.toLowerCase() ?? "";
    if (look.servername === undefined) return { name, certificate: null };
    const offers = await ask(socket, "EHLO doctor.invalid", signal);
    if (!/^250[ -]STARTTLS\r?$/im.test(offers)) return { name, certificate: null };
    await ask(socket, "STARTTLS", signal);
    return { name, certificate: await seeCertificate(socket, look.servername, { ca: look.ca, signal }) };
  } catch (error) {
    throw signal.aborted ? new Error("nobody answers", { cause: error }) : error;
  } finally {
    socket.destroy();
  }
}

/** Why a connection could not be had, in a word or two. */
export function connectionFault(error: unknown): string {
  const words: Record<string, string> = {
    ECONNREFUSED: "nobody listens there",
    EHOSTUNREACH: "there is no way there",
    ENETUNREACH: "there is no way there",
    ETIMEDOUT: "nobody answers",
  };
  return words[systemCodeOf(error)] ?? messageOf(error);
}

async function seeCertificate(
  plain: Socket,
  servername: string,
  { ca, signal }: { ca: string | undefined; signal: AbortSignal },
): Promise<SeenCertificate> {
  const socket = connectTls({
    socket: plain,
    servername,
    rejectUnauthorized: false,
    ...(ca === undefined ? {} : { ca }),
  });
  try {
    await once(socket, "secureConnect", { signal });
    // Node gives it out once only: asked again, there is none.
    const chain = chainOf(socket);
    return { chain, fault: faultOf(socket, chain[0], servername) };
  } finally {
    socket.destroy();
  }
}

function chainOf(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next = socket.getPeerX509Certificate();
  while (next !== undefined && !chain.some(({ fingerprint256 }) => fingerprint256 === next?.fingerprint256)) {
    chain.push(next);
    next = next.issuerCertificate;
  }
  return chain;
}

function faultOf(socket: TLSSocket, leaf: X509Certificate | undefined, servername: string): string | null {
  if (leaf?.checkHost(servername, { subject: "never" }) === undefined) return `it is not for ${servername}`;
  if (socket.authorized) return null;
  // Typed as an error, and a code in truth.
  return `it is not trusted (${String(socket.authorizationError)})`;
}

async function ask(socket: Socket, command: string, signal: AbortSignal): Promise<string> {
  socket.write(`${command}\r\n`);
  return await readReply(socket, signal);
}

/** All lines of one reply (RFC 5321 section 4.2.1). */
async function readReply(socket: Socket, signal: AbortSignal): Promise<string> {
  let reply = "";
  while (!/^\d{3}(?: .*)?\r?\n$/m.test(reply)) {
    const [chunk] = (await once(socket, "data", { signal })) as [Buffer];
    reply += chunk.toString("latin1");
    if (reply.length > maxReplyBytes) throw new Error("its answer does not end");
  }
  return reply;
}
