/** One kind of mail: everything but its numbers. */
export interface MailTemplate {
  /** Up to and with the empty line, CRLF ends, {@link numberPlace} where the number belongs. */
  head: string;
  /** Without the end mark; never a line that begins with a dot. */
  body: string;
}

/** Stands in a template's head for the number of a mail. */
export const numberPlace = "0".repeat(9);
/** In the subject of every mail, its number after it; found nowhere else in it. */
export const subjectMark = "Bench ";
const line = "The quick brown cat jumps over the lazy dog and brings the mail on time.\r\n";
const boundary = "=_bench_2f6c1d";
const sentence = "Bring the mail on time, the quick brown cat said to the lazy dog =E2=80=94 and it did. ";
const style = `<td style=3D"padding:12px 24px;font:14px/20px Arial,sans-serif;color:#333">`;

/** Plain text of so many bytes in all, at least 1,000. */
export function plainTemplate(bytes: number, token: string): MailTemplate {
  const head = `${commonHead(token)}Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n`;
  const bodyBytes = bytes - head.length;
  const whole = Math.floor(bodyBytes / line.length) - 1;
  const rest = bodyBytes - whole * line.length;
  return { head, body: `${line.repeat(whole)}${"x".repeat(rest - 2)}\r\n` };
}

/**
 * Mails as an inbound service sees them: of 100, 50 of 3 KB that carry a code, 30 of 15 KB as text and HTML, 15 of 60 KB
 * of HTML, 4 with an attachment of 300 KB in all, 1 of 2 MB. `kindOf` says which of the templates a number has.
 */
export function mixTemplates(token: string): { templates: MailTemplate[]; kindOf: (number: number) => number } {
  const templates = [
    codeMail(token, 3_000),
    alternativeMail(token, 15_000),
    htmlMail(token, 60_000),
    attachmentMail(token, 300_000),
    attachmentMail(token, 2_000_000),
  ];
  const upTo = [50, 80, 95, 99, 100];
  // 37 has no divisor with 100, so that kinds take turns and every 100 numbers in a row hold the whole mix.
  const kinds = Array.from({ length: 100 }, (_, number) => upTo.findIndex((end) => (number * 37) % 100 < end));
  return { templates, kindOf: (number) => kinds[number % 100] ?? 0 };
}

function codeMail(token: string, bytes: number): MailTemplate {
  const head = headWith(token, [
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: quoted-printable",
  ]);
  const text = `Your code is 482913.=20\r\n\r\n`;
  return { head, body: text + fill(bytes - head.length - text.length, textLine) };
}

function alternativeMail(token: string, bytes: number): MailTemplate {
  const head = headWith(token, [`Content-Type: multipart/alternative; boundary="${boundary}"`]);
  const text = `${part("text/plain; charset=utf-8", "quoted-printable")}${fill(bytes / 5, textLine)}`;
  const start = `${part("text/html; charset=utf-8", "quoted-printable")}<html><body><table>\r\n`;
  const end = `</table></body></html>\r\n--${boundary}--\r\n`;
  const html = fill(bytes - head.length - text.length - start.length - end.length, htmlLine);
  return { head, body: text + start + html + end };
}

function htmlMail(token: string, bytes: number): MailTemplate {
  const head = headWith(token, [
    "Content-Type: text/html; charset=utf-8",
    "Content-Transfer-Encoding: quoted-printable",
  ]);
  const [start, end] = ["<html><body><table>\r\n", "</table></body></html>\r\n"];
  return { head, body: start + fill(bytes - head.length - start.length - end.length, htmlLine) + end };
}

function attachmentMail(token: string, bytes: number): MailTemplate {
  const head = headWith(token, [`Content-Type: multipart/mixed; boundary="${boundary}"`]);
  const text = `${part("text/plain; charset=utf-8", "quoted-printable")}${fill(1_500, textLine)}`;
  const file = part('application/pdf; name="report.pdf"', "base64");
  const end = `--${boundary}--\r\n`;
  const random = seededBytes();
  const data = fill(bytes - head.length - text.length - file.length - end.length, () => `${random(57)}\r\n`);
  return { head, body: text + file + data + end };
}

function headWith(token: string, lines: readonly string[]): string {
  return `${commonHead(token)}${lines.join("\r\n")}\r\n\r\n`;
}

function part(type: string, encoding: string): string {
  return `--${boundary}\r\nContent-Type: ${type}\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n`;
}

/** Whole lines, as many as come closest to so many bytes. */
function fill(bytes: number, nextLine: () => string): string {
  let text = "";
  while (text.length < bytes - 40) text += nextLine();
  return text;
}

function textLine(): string {
  return `${sentence.slice(0, 64)}=\r\n${sentence.slice(64)}\r\n`;
}

function htmlLine(): string {
  return `<tr>${style}=\r\n${sentence.slice(0, 60)}</td></tr>\r\n`;
}

/** Bytes that no compression makes smaller and every run repeats, in base64. */
function seededBytes(): (bytes: number) => string {
  let state = 0x2f6c1d;
  return (bytes) => {
    const block = Buffer.alloc(bytes);
    for (let at = 0; at < bytes; at++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      block[at] = state >>> 24;
    }
    return block.toString("base64");
  };
}

/** Header lines that every sample mail has; more of them may follow. */
function commonHead(token: string): string {
  return [
    "Received: from mx.example.com (mx.example.com [192.0.2.7]) by mail.example.net; Mon, 23 Nov 2026 08:00:00 +0000",
    "From: Bencher <bench@example.com>",
    "To: <reader@example.net>",
    `Subject: ${subjectMark}${numberPlace}`,
    "Date: Mon, 23 Nov 2026 08:00:00 +0000",
    `Message-ID: <${numberPlace}.${token}@bench.example.com>`,
    "MIME-Version: 1.0",
    "",
  ].join("\r\n");
}
