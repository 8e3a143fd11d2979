import type { Socket } from "node:net";
import { parseProxyHeader, type ProxyHeader } from "./proxy-header.ts";

/** `silent`: no whole header came in time, or before the end. */
export type ProxyResult = Exclude<ProxyHeader, { kind: "unfinished" }> | { kind: "silent" };

/**
 * Takes the PROXY header off a connection that nobody has read from yet. Bytes behind it are still to be read from the
 * socket afterwards, as if it had begun with them. Holds one read and at most 4096 bytes. Never rejects; the caller closes
 * the socket where there was no header, and listens for its errors.
 */
export async function readProxyHeader(socket: Socket, timeoutMs: number): Promise<ProxyResult> {
  const { promise, resolve } = Promise.withResolvers<ProxyResult>();
  let head = Buffer.alloc(0);
  const read = (): void => {
    const bytes = socket.read() as Buffer | null;
    if (bytes === null) return;
    head = Buffer.concat([head, bytes]);
    const header = parseProxyHeader(head);
    if (header.kind !== "unfinished") end(header);
  };
  const giveUp = (): void => end({ kind: "silent" });
  const timer = setTimeout(giveUp, timeoutMs);
  const end = (result: ProxyResult): void => {
    clearTimeout(timer);
    socket.off("readable", read).off("end", giveUp).off("close", giveUp);
    if ("bytes" in result && result.bytes < head.length) socket.unshift(head.subarray(result.bytes));
    resolve(result);
  };
  socket.on("readable", read).on("end", giveUp).on("close", giveUp);
  return promise;
}
