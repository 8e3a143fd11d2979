import assert from "node:assert/strict";
import { isIP } from "node:net";
import { parseProxyHeader } from "../../src/smtp/proxy-header.ts";

/** An address, "" for the proxy's own, or `null` for malformed; and the length of the header. */
export type ProxyReading = { ip: string | null; bytes: number } | "unfinished";

/**
 * Fails unless any bytes are read as a PROXY header the same way whole and cut in two, within the bounds. Gives back
 * how they are read.
 */
export function checkProxyHeader(sent: Buffer, cut: number): ProxyReading {
  const whole = readInPieces([sent]);
  assert.deepEqual(readInPieces([sent.subarray(0, cut), sent.subarray(cut)]), whole);
  if (whole === "unfinished") assert.ok(sent.length < 4096, "a header has an end");
  else if (whole.ip !== null) {
    assert.ok(whole.bytes <= Math.min(sent.length, 4096), "a header is within its bound, and has come");
    assert.ok(whole.ip === "" || isIP(whole.ip) !== 0, "a client has an address");
  }
  return whole;
}

/** What is said of bytes that come in these pieces. */
export function readInPieces(pieces: readonly Buffer[]): ProxyReading {
  let head = Buffer.alloc(0);
  for (const piece of pieces) {
    head = Buffer.concat([head, piece]);
    const header = parseProxyHeader(head);
    if (header.kind === "unfinished") continue;
    if (header.kind === "malformed") return { ip: null, bytes: 0 };
    return { ip: header.kind === "client" ? header.ip : "", bytes: header.bytes };
  }
  return "unfinished";
}
