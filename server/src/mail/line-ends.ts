const cr = 13;
const lf = 10;

/**
 * The same lines, each ended by CRLF, in a buffer of their own that spans its whole ArrayBuffer. A line that ends with LF
 * alone gets its CR, a missing last line end is added; a CR that ends no line stays where it is, and a mail that has CRLF
 * throughout keeps every byte. Linear.
 */
export function withCrlf(text: Uint8Array): Buffer<ArrayBuffer> {
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  let bareEnds = 0;
  for (const _ of bareLineEnds(bytes)) bareEnds++;
  const endMissing = bytes.at(-1) !== lf;
  const out = Buffer.from(new ArrayBuffer(bytes.byteLength + bareEnds + (endMissing ? 2 : 0)));
  let from = 0;
  let to = 0;
  for (const end of bareLineEnds(bytes)) {
    to += bytes.copy(out, to, from, end);
    out[to++] = cr;
    from = end;
  }
  to += bytes.copy(out, to, from);
  if (endMissing) out.set([cr, lf], to);
  return out;
}

function* bareLineEnds(text: Buffer): Generator<number> {
  for (let at = text.indexOf(lf); at >= 0; at = text.indexOf(lf, at + 1)) {
    if (text[at - 1] !== cr) yield at;
  }
}
