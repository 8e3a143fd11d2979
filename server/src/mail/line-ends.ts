const cr = 13;
const lf = 10;

/**
 * The same lines, each ended by CRLF, in a buffer of their own that spans its whole ArrayBuffer. A line that ends with LF
 * alone gets its CR, a missing last line end is added; a CR that ends no line stays where it is, and a mail that has CRLF
 * throughout keeps every byte. Linear, and byte by byte, so that a mail of nothing but line ends costs no more than others.
 */
export function withCrlf(text: Uint8Array): Buffer<ArrayBuffer> {
  const bareEnds = countBareEnds(text);
  const endMissing = text.at(-1) !== lf;
  const out = new Uint8Array(new ArrayBuffer(text.length + bareEnds + (endMissing ? 2 : 0)));
  if (bareEnds === 0) out.set(text);
  else copyWithCr(text, out);
  if (endMissing) out.set([cr, lf], out.length - 2);
  return Buffer.from(out.buffer);
}

function countBareEnds(text: Uint8Array): number {
  let count = 0;
  let before = 0;
  for (let at = 0; at < text.length; at++) {
    const byte = text[at] ?? 0;
    if (byte === lf && before !== cr) count++;
    before = byte;
  }
  return count;
}

function copyWithCr(text: Uint8Array, out: Uint8Array): void {
  let to = 0;
  let before = 0;
  for (let at = 0; at < text.length; at++) {
    const byte = text[at] ?? 0;
    if (byte === lf && before !== cr) out[to++] = cr;
    out[to++] = byte;
    before = byte;
  }
}
