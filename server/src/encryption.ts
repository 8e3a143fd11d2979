import type { Socket } from "node:net";
import { TLSSocket, type TLSSocketOptions } from "node:tls";

/** What a listener needs to speak TLS. Whoever keeps the certificates fits it. */
export interface Encryption {
  /** False while there is no certificate: TLS is not to be announced then. */
  readonly isReady: boolean;
  /** For one handshake as the server. To be asked for each anew, because certificates change while we run. */
  handshakeOptions(): TLSSocketOptions;
}

export type HandshakeOutcome = "done" | "failed" | "timeout";

export interface HandshakeEnd {
  outcome: HandshakeOutcome;
  /** What was wrong, where somebody said so. */
  error?: unknown;
}

/** Enough for an honest client, which needs two round trips. */
export const handshakeTimeoutMs = 15_000;

/**
 * Speaks TLS as the server on a connected socket from its next byte on, those that it has buffered first. The TLS socket
 * is half-open where the plain one is, and both go together. `timeoutMs` is for the whole handshake, however its bytes drip.
 * `onEnd` is called once; unless the outcome is `done`, both sockets are destroyed. Errors after that are the caller's to
 * listen for.
 */
export function shakeHands(
  socket: Socket,
  { timeoutMs, ...options }: TLSSocketOptions & { timeoutMs: number },
  onEnd: (end: HandshakeEnd) => void,
): TLSSocket {
  const secure = new TLSSocket(socket, { ...options, isServer: true });
  const end = (outcome: HandshakeOutcome, error?: unknown): void => {
    clearTimeout(timer);
    secure.off("secure", succeed).off("end", fail).off("close", fail).off("error", fail);
    if (outcome !== "done") {
      // Late faults of a socket that is on its way out are no news.
      secure.on("error", () => undefined);
      secure.destroy();
    }
    onEnd(error === undefined ? { outcome } : { outcome, error });
  };
  const succeed = (): void => end("done");
  const fail = (error?: unknown): void => end("failed", error instanceof Error ? error : undefined);
  const timer = setTimeout(() => end("timeout"), timeoutMs);
  secure.once("secure", succeed).once("end", fail).once("close", fail).once("error", fail);
  return secure;
}
