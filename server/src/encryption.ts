import type { Socket } from "node:net";
import { TLSSocket, type TLSSocketOptions } from "node:tls";

/** What a listener needs to speak TLS. Whoever keeps the certificates fits it. */
export interface Encryption {
  /** False while there is no certificate: TLS is not to be announced then. */
  readonly isReady: boolean;
  /** For one handshake as the server, which begins with this record. To be asked for each, because certificates change. */
  handshakeOptions(hello: Buffer): TLSSocketOptions;
}

export type HandshakeOutcome = "done" | "failed" | "timeout";

/** How a handshake ended; `error`: what was wrong, where somebody said so. */
export type HandshakeEnd =
  | { outcome: "done"; secure: TLSSocket }
  | { outcome: "failed" | "timeout"; error: Error | undefined };

/** Enough for an honest client, which needs two round trips. */
export const handshakeTimeoutMs = 15_000;

const handshakeRecord = 22;
const recordHeaderBytes = 5;
const maxRecordBytes = 16_384;

export interface Handshake {
  /** Given the first record (RFC 8446 section 5.1), or as much as came of what is none; at most 64 KiB or so. */
  optionsFor: (hello: Buffer) => TLSSocketOptions;
  /** For the whole handshake, however its bytes drip. */
  timeoutMs: number;
  /** Called once. */
  onEnd: (end: HandshakeEnd) => void;
}

/**
 * Speaks TLS as the server on a connected socket from its next byte on, those that it has buffered first. The TLS socket
 * is half-open where the plain one is, and both go together. Unless it is done, both are destroyed; when it is, errors
 * are the caller's to listen for. The first record is read before OpenSSL sees it, because a context that is set later
 * brings one certificate only, and not one of each type of key.
 */
export function shakeHands(socket: Socket, { optionsFor, timeoutMs, onEnd }: Handshake): void {
  const timer = setTimeout(() => end({ outcome: "timeout", error: undefined }), timeoutMs);
  const fail = (error?: unknown): void => {
    end({ outcome: "failed", error: error instanceof Error ? error : undefined });
  };
  const end = (how: HandshakeEnd): void => {
    clearTimeout(timer);
    socket.off("readable", read).off("end", fail).off("close", fail).off("error", fail);
    secure?.off("end", fail).off("close", fail).off("error", fail);
    // Late faults of a socket that is on its way out are no news.
    if (how.outcome !== "done") (secure ?? socket).on("error", () => undefined).destroy();
    onEnd(how);
  };
  let secure: TLSSocket | null = null;
  let hello: Buffer = Buffer.alloc(0);
  const read = (): void => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    hello = hello.length === 0 ? chunk : Buffer.concat([hello, chunk]);
    if (hello.length < recordBytes(hello)) return;
    socket.off("readable", read).off("end", fail).off("close", fail);
    socket.unshift(hello);
    const made = new TLSSocket(socket, { ...optionsFor(hello), isServer: true });
    secure = made;
    made.once("secure", () => end({ outcome: "done", secure: made }));
    made.once("end", fail).once("close", fail).once("error", fail);
  };
  // Both sockets tell of a fault; the plain one has nobody else to hear it.
  socket.on("error", () => undefined);
  socket.on("readable", read).once("end", fail).once("close", fail).once("error", fail);
}

/** Bytes of the record that begins here, as far as it is known; what is no handshake needs no more bytes to fail. */
function recordBytes(start: Buffer): number {
  if (start[0] !== handshakeRecord) return 0;
  if (start.length < recordHeaderBytes) return recordHeaderBytes;
  return recordHeaderBytes + Math.min(start.readUInt16BE(3), maxRecordBytes);
}
