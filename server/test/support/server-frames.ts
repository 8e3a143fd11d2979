/** One frame as a server sends it. */
export interface ServerFrame {
  opcode: number;
  isLast: boolean;
  payload: Buffer;
  /** Bytes of the whole frame. */
  bytes: number;
}

/** The frame that the bytes begin with (RFC 6455 section 5.2); `null` when it has not come whole. */
export function readServerFrame(stream: Buffer): ServerFrame | null {
  if (stream.length < 2) return null;
  const first = stream.readUInt8(0);
  // A server's frames are not masked, so the second byte is the length alone.
  const short = stream.readUInt8(1);
  const headBytes = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (stream.length < headBytes) return null;
  const length = short < 126 ? short : short === 126 ? stream.readUInt16BE(2) : Number(stream.readBigUInt64BE(2));
  const bytes = headBytes + length;
  if (stream.length < bytes) return null;
  return { opcode: first & 15, isLast: first > 127, payload: stream.subarray(headBytes, bytes), bytes };
}

/** The whole frames of all that a WebSocket server sent, the answer to the handshake first. */
export function parseServerFrames(stream: Buffer): ServerFrame[] {
  const frames: ServerFrame[] = [];
  let rest = stream.subarray(stream.indexOf("\r\n\r\n") + 4);
  for (;;) {
    const frame = readServerFrame(rest);
    if (frame === null) return frames;
    frames.push(frame);
    rest = rest.subarray(frame.bytes);
  }
}
