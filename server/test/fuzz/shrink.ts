/**
 * A smaller input that fails too: pieces are left out, halves first and single octets last, and what stays becomes the
 * letter `a` where it can. Ends early once `isTimeUp` says so; what it has by then fails as well.
 */
export async function shrink(
  input: Buffer,
  fails: (smaller: Buffer) => Promise<boolean>,
  isTimeUp: () => boolean,
): Promise<Buffer> {
  let best = input;
  for (let size = best.length >> 1; size >= 1 && !isTimeUp(); size >>= 1) {
    for (let at = 0; at < best.length && !isTimeUp();) {
      const smaller = Buffer.concat([best.subarray(0, at), best.subarray(at + size)]);
      if (await fails(smaller)) best = smaller;
      else at += size;
    }
  }
  for (let at = 0; at < best.length && !isTimeUp(); at++) {
    if (best[at] === 0x61) continue;
    const plainer = Buffer.from(best);
    plainer[at] = 0x61;
    if (await fails(plainer)) best = plainer;
  }
  return best;
}
