/** What a dialog comes to: the code of each reply, and the content of each mail that was taken, in order. */
export interface ChunkDialog {
  codes: number[];
  mails: string[];
}

/** As far as the obvious reader goes. */
export interface SlowDialog extends ChunkDialog {
  /** It met a command that it does not know. */
  isLost: boolean;
}

interface OpenMail {
  content: string;
  refusal: number | null;
}

/**
 * The obvious reader of a dialog with BDAT (RFC 3030), one character per octet: it takes lines and chunks off the front of
 * all that was sent. It knows MAIL, RCPT (refused for `nobody@`), BDAT, RSET, NOOP and HUH, which is none.
 */
export function playSlowly(sent: string, maxBytes: number): SlowDialog {
  const codes: number[] = [];
  const mails: string[] = [];
  const isLost = false;
  let envelope: "none" | "mail" | "recipient" = "none";
  let open: OpenMail | null = null;
  for (let rest = sent; rest.includes("\n");) {
    const line = rest.slice(0, rest.indexOf("\n") + 1);
    rest = rest.slice(line.length);
    if (!/^[^\r]*\r\n$/.test(line)) return { codes: [...codes, 500], mails, isLost };
    if (/^\s*BDAT/i.test(line)) {
      const [, digits, last] = /^BDAT (\d{1,15})( LAST)? *\r\n$/i.exec(line) ?? [];
      if (digits === undefined) return { codes: [...codes, 501], mails, isLost };
      const bytes = Number(digits);
      if (rest.length < bytes) return { codes, mails, isLost };
      open ??= { content: "", refusal: envelope === "none" ? 503 : envelope === "mail" ? 554 : null };
      open.content += rest.slice(0, bytes);
      rest = rest.slice(bytes);
      open.refusal ??= refusalOf(open.content, { maxBytes, isLast: last !== undefined });
      codes.push(open.refusal ?? 250);
      if (last === undefined) continue;
      if (open.refusal === null) mails.push(open.content);
      open = null;
      envelope = "none";
    } else if (/^MAIL FROM:<s@x\.example> *\r\n$/i.test(line)) {
      codes.push(envelope === "none" ? 250 : 503);
      if (envelope === "none") [envelope, open] = ["mail", null];
    } else if (/^RCPT TO:<(?:demo|nobody)@ours\.example> *\r\n$/i.test(line)) {
      const isKnown = /demo/i.test(line);
      codes.push(envelope === "none" || open !== null ? 503 : isKnown ? 250 : 550);
      if (codes.at(-1) === 250) envelope = "recipient";
    } else if (/^RSET *\r\n$/i.test(line)) {
      codes.push(250);
      [envelope, open] = ["none", null];
    } else if (/^(?:NOOP|HUH) *\r\n$/i.test(line)) codes.push(/^N/i.test(line) ? 250 : 500);
    else return { codes, mails, isLost: true };
  }
  return { codes, mails, isLost };
}

function refusalOf(content: string, { maxBytes, isLast }: { maxBytes: number; isLast: boolean }): number | null {
  if (content.length > maxBytes) return 552;
  // A CR at the end of a chunk may still get its LF in the next.
  return /\r(?!\n|$)|(?<!\r)\n/.test(content) || (isLast && content.endsWith("\r")) ? 554 : null;
}
