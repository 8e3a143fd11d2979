import { SmtpLink } from "./smtp-link.ts";

export interface BulkOptions {
  port: number;
  connections: number;
  count: number;
  to: string;
  /** Content of the mail with this number, counted from 0, as it goes over the wire. */
  makeWire(index: number): Buffer;
  /** Waited for before each mail is sent. */
  mayGo?: (index: number) => Promise<void> | undefined;
  onAcknowledged?: (index: number) => void;
}

/** Sends many mails over kept connections. Resolves once all are acknowledged; rejects at the first that is not. */
export async function sendBulk(options: BulkOptions): Promise<void> {
  let next = 0;
  const send = async (): Promise<void> => {
    using link = await SmtpLink.open(options.port);
    while (next < options.count) {
      const index = next++;
      await options.mayGo?.(index);
      const reply = await link.deliver({
        envelopeFrom: "sender@example.org",
        recipients: [options.to],
        wire: options.makeWire(index),
      });
      if (!reply.startsWith("250 ")) throw new Error(reply);
      options.onAcknowledged?.(index);
    }
  };
  await Promise.all(Array.from({ length: options.connections }, send));
}
