/** One frame as a server sends it. */
export interface ServerFrame {
  opcode: number;
  isLast: boolean;
  payload: Buffer;
}

/** Parses the whole frames of a byte stream from a WebSocket server (RFC 6455 section 5.2), handshake first. */
export function parseServerFrames(stream: Buffer): ServerFrame[] {
  const frames: ServerFrame[] = [];
  let at = stream.indexOf("\r\n\r\n") + 4;
  for (;;) {
    const header = parseHeader(stream.subarray(at, at + 10));
    if (header === null || at + header.headBytes + header.length > stream.length) return frames;
    const start = at + header.headBytes;
    at = start + header.length;
    const first = stream[start - header.headBytes] ?? 0;
    frames.push({ opcode: first & 15, isLast: first > 127, payload: stream.subarray(start, at) });
  }
}

function parseHeader(bytes: Buffer): { headBytes: number; length: number } | null {
  const short = bytes[1];
  if (short === undefined) return null;
  if (short < 126) return { headBytes: 2, length: short };
  const headBytes = short === 126 ? 4 : 10;
  if (bytes.length < headBytes) return null;
  return { headBytes, length: short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2)) };
}
