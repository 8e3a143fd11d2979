const sequenceDigits = 9;
const marker = "Subject: Bench ";
const line = "The quick brown cat jumps over the lazy dog and brings the mail on time.\r\n";

/** A mail of plain text whose subject carries a number. */
export class SampleMail {
  readonly #bytes: Buffer;
  readonly #sequenceAt: number;

  /** `bytes` counts the mail as it is stored, without the end mark; at least 1,000. */
  constructor(to: string, bytes: number) {
    const header = headerTo(to);
    const bodyBytes = bytes - header.length;
    const whole = Math.floor(bodyBytes / line.length) - 1;
    const rest = bodyBytes - whole * line.length;
    const body = `${line.repeat(whole)}${"x".repeat(rest - 2)}\r\n`;
    this.#bytes = Buffer.from(`${header}${body}.\r\n`, "latin1");
    this.#sequenceAt = header.indexOf(marker) + marker.length;
  }

  /** A copy with this number, ready to be sent after 354, end mark included. */
  numbered(sequence: number): Buffer {
    const copy = Buffer.from(this.#bytes);
    copy.write(String(sequence).padStart(sequenceDigits, "0"), this.#sequenceAt, "latin1");
    return copy;
  }
}

/** The number in the subject of a {@link SampleMail}. */
export function sequenceOf(subject: string): number {
  return Number(subject.slice(-sequenceDigits));
}

function headerTo(to: string): string {
  return [
    "Received: from mx.example.com (mx.example.com [192.0.2.7]) by mail.example.net; Mon, 23 Nov 2026 08:00:00 +0000",
    "From: Bench <bench@example.com>",
    `To: <${to}>`,
    `${marker}${"0".repeat(sequenceDigits)}`,
    "Date: Mon, 23 Nov 2026 08:00:00 +0000",
    "Message-ID: <bench.20261123@example.com>",
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: 8bit",
    "",
    "",
  ].join("\r\n");
}
