/** Below this the next collection of garbage comes soon enough. */
const largeBytes = 65_536;
/**
 * From the first resizable buffer on that a function of a thread reads octet by octet, V8 has it read all buffers in a slow way:
 * after a few large mails each small one took 15 % more processor time. So only mails above this size lie in such a buffer, and
 * whoever reads them in the main thread reads {@link fixedBytes}.
 */
const maxFixedBytes = 2 * 1024 * 1024;

/**
 * Gives the memory of large bytes back at once; they must not be used any more. A thread that is handed one large mail
 * after the other, and makes little garbage of its own, would hold many of them before it collects them.
 */
export function freeBytes(bytes: Uint8Array<ArrayBuffer>): void {
  if (bytes.buffer.byteLength >= largeBytes) bytes.buffer.transferToFixedLength(0);
}

/**
 * {@link freeBytes} for bytes of any length that may share their memory with others: it is given back where they are all
 * of it, and nothing happens otherwise.
 */
export function freeOwnBytes(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && bytes.length === buffer.byteLength) buffer.transferToFixedLength(0);
}

/**
 * Memory that goes back to the system as soon as it is freed, in whichever thread, where it is for more than 2 MiB. Unlike with
 * other buffers no allocator keeps what was freed for later, which costs more than the mail itself where mails are large and
 * threads are many.
 */
export function returnableBuffer(bytes: number): ArrayBuffer {
  // Resizable buffers are pages of their own.
  return bytes <= maxFixedBytes ? new ArrayBuffer(bytes) : new ArrayBuffer(bytes, { maxByteLength: bytes });
}

/** These bytes, or a copy where they lie in a {@link returnableBuffer}: to be read octet by octet. */
export function fixedBytes(bytes: Buffer): Buffer {
  return bytes.buffer instanceof ArrayBuffer && bytes.buffer.resizable ? Buffer.from(bytes) : bytes;
}

/** A copy for another thread, which spans its whole ArrayBuffer; memory that goes back when it is freed, where it is large. */
export function copyForThread(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (bytes.length < largeBytes) return new Uint8Array(bytes);
  const copy = new Uint8Array(returnableBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}
