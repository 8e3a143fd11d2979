import { once } from "node:events";
import { SmtpClient } from "../support/smtp-client.ts";

/** Written over and over: 8 KiB of lines that nobody can compress into a header. */
const block = Buffer.from(`${"0123456789abcdef".repeat(4).slice(0, 62)}\r\n`.repeat(128));

/** What becomes of one mail: the code of the reply to it, or `null` when the connection broke. */
export type LargeMailOutcome = number | null;

/**
 * Sends so many mails of `bytes` each at the same time, each on a connection of its own, as fast as they are read.
 * Resolves with all outcomes.
 */
export async function sendLargeMails(options: {
  port: number;
  to: string;
  count: number;
  bytes: number;
}): Promise<LargeMailOutcome[]> {
  return await Promise.all(Array.from({ length: options.count }, (_, index) => sendOne(options, index)));
}

async function sendOne(
  { port, to, bytes }: { port: number; to: string; bytes: number },
  index: number,
): Promise<LargeMailOutcome> {
  await using client = await SmtpClient.ready(port);
  await client.startMail("large@there.example", to);
  const { socket } = client;
  const write = async (data: Buffer | string): Promise<void> => {
    if (!socket.write(data)) await once(socket, "drain");
  };
  const head = `From: large@there.example\r\nSubject: large ${index}\r\n\r\n`;
  await write(head);
  const blocks = Math.floor((bytes - head.length) / block.length);
  for (let i = 0; i < blocks; i++) await write(block);
  await write("end\r\n.\r\n");
  return (await client.reply()).code;
}
