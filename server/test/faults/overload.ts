import { setTimeout as delay } from "node:timers/promises";
import { LinkLost, SmtpLink } from "./smtp-link.ts";

/** How long a sender that was turned away stays away: real ones stay away for minutes. */
const backOffMs = 250;
const mailsPerConnection = 20;

export interface OverloadOptions {
  port: number;
  to: string;
  senders: number;
  forMs: number;
}

/** What senders were told. */
export interface OverloadReport {
  /** Subjects of the mails that were answered 250. */
  accepted: string[];
  acceptedPerSecond: number;
  /** Connections and mails that were put off, by the first four characters of the reply. */
  putOff: Map<string, number>;
}

let series = 0;

/** So many senders, each as fast as it is answered, on new connections again and again. */
export async function sendTogether(options: OverloadOptions): Promise<OverloadReport> {
  const report: OverloadReport = { accepted: [], acceptedPerSecond: 0, putOff: new Map() };
  const startedMs = performance.now();
  const name = ++series;
  await Promise.all(
    Array.from({ length: options.senders }, async (_, sender) => {
      for (let number = 0; performance.now() - startedMs < options.forMs; number++) {
        if (!(await sendSome(options, `${name}-${sender}-${number}`, report))) await delay(backOffMs);
      }
    }),
  );
  report.acceptedPerSecond = (report.accepted.length / (performance.now() - startedMs)) * 1000;
  return report;
}

async function sendSome({ port, to }: OverloadOptions, name: string, report: OverloadReport): Promise<boolean> {
  try {
    using link = await SmtpLink.open(port);
    for (let i = 0; i < mailsPerConnection; i++) {
      const subject = `overload ${name}-${i}`;
      const wire = Buffer.from(`From: s@there.example\r\nSubject: ${subject}\r\n\r\n${"x".repeat(78)}\r\n`);
      const reply = await link.deliver({ envelopeFrom: "s@there.example", recipients: [to], wire });
      if (reply.startsWith("250 ")) report.accepted.push(subject);
      else note(report, reply);
    }
    return true;
  } catch (error) {
    if (!(error instanceof LinkLost)) throw error;
    note(report, error.message);
    return false;
  }
}

function note({ putOff }: OverloadReport, reply: string): void {
  const code = reply.slice(0, 4);
  putOff.set(code, (putOff.get(code) ?? 0) + 1);
}
