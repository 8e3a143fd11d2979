import type { Readable } from "node:stream";
import type { Command } from "commander";
import type { Address } from "../address.ts";
import { withCrlf } from "../mail/line-ends.ts";
import type { Receiver, ReceiverRecipient } from "../mail/receive.ts";
import type { Envelope } from "../origin.ts";
import { addressArgument, addressesArgument } from "./arguments.ts";
import { Failure } from "./failure.ts";
import { note } from "./output.ts";
import { withStore, type StoreSession } from "./session.ts";

/** `catmails deliver`: one mail from standard input, as another mail server's pipe hands it over. */
export function addDeliverCommand(program: Command): void {
  program
    .command("deliver")
    .description("take one mail on standard input, as from another mail server; a running server pushes it too")
    .argument("<address...>", "recipients; when one of them is refused, nobody gets it", addressesArgument)
    .option("--from <address>", "envelope sender (default: the null sender <>)", senderArgument)
    .addHelpText(
      "after",
      `
Lines may end with LF or CRLF; they are stored with CRLF. A dot alone on a line is content, not the end.

Examples:
  catmails deliver demo@mails.localhost < mail.eml
  printf 'Subject: Hello\\n\\nYour code is 482913\\n' | catmails deliver --from cat@example.com demo@mails.localhost`,
    )
    .action((addresses: Address[], options: { from?: string }, command: Command) =>
      withStore(command, { create: false }, (session) => deliver(session, addresses, options.from ?? "")),
    );
}

function senderArgument(text: string): string {
  return text === "" || text === "<>" ? "" : addressArgument(text).text;
}

async function deliver(session: StoreSession, addresses: readonly Address[], envelopeFrom: string): Promise<void> {
  const { config, out } = session;
  if (addresses.length > config.smtp_max_recipients) {
    throw new Failure("too_many_recipients", `One mail may have ${config.smtp_max_recipients} recipients.`);
  }
  if (process.stdin.isTTY) note("Reading a mail from the terminal; Ctrl-D on an empty line ends it.");
  const raw = withCrlf(await readAll(process.stdin, config.smtp_max_message_bytes));
  if (raw.byteLength > config.smtp_max_message_bytes) throw tooLarge(config.smtp_max_message_bytes);
  await using opened = await openReceiver(session);
  const envelope: Envelope = { from: envelopeFrom, sizeBytes: raw.byteLength, origin: null };
  const recipients = await acceptAll(opened.receiver, addresses, envelope);
  const result = await opened.receiver.receive({ envelope, recipients, raw });
  if (result.kind === "gone") throw new Failure("gone", "The mailbox was deleted in this moment; nothing was stored.");
  if (result.kind === "looping") {
    throw new Failure("looping", `The mail has more than ${config.smtp_max_received} Received fields: it loops.`);
  }
  if (result.kind === "no_room") throw new Failure("no_room", "The disk is nearly full; nothing was stored.");
  if (result.kind !== "stored") throw neverJudged();
  const names = recipients.map(({ mailTo }) => mailTo);
  await out.result({ receipt: result.receipt, recipients: names }, `Stored for ${names.join(", ")}.\n`);
}

async function openReceiver({ store, config }: StoreSession): Promise<AsyncDisposable & { receiver: Receiver }> {
  const [{ Receiver }, { MailParser }, { Metrics }] = await Promise.all([
    import("../mail/receive.ts"),
    import("../mime/mime.ts"),
    import("../metrics.ts"),
  ]);
  const parser = new MailParser({});
  const receiver = new Receiver({
    store,
    // Followers live in the server, which sees that another process has changed the store.
    feed: { announce: () => undefined, isFollowed: () => false },
    parser,
    metrics: new Metrics(),
    domain: config.domain,
    quotaBytes: config.quota_bytes,
    maxReceived: config.smtp_max_received,
  });
  return { receiver, [Symbol.asyncDispose]: () => parser[Symbol.asyncDispose]() };
}

async function acceptAll(
  receiver: Receiver,
  addresses: readonly Address[],
  envelope: Envelope,
): Promise<ReceiverRecipient[]> {
  const accepted = new Map<string, ReceiverRecipient>();
  const refused: string[] = [];
  for (const address of addresses) {
    const verdict = await receiver.checkRecipient(address, envelope);
    switch (verdict.kind) {
      case "accepted":
        accepted.set(verdict.recipient.key, verdict.recipient);
        break;
      case "unknown_mailbox":
        refused.push(`there is no mailbox ${address.text}`);
        break;
      case "foreign_domain":
        refused.push(`${address.domain} is not served here`);
        break;
      case "over_quota":
        refused.push(`${address.text} is over its quota`);
        break;
      case "blocked":
      case "listed":
      case "greylisted":
        throw neverJudged();
    }
  }
  if (refused.length > 0) throw new Failure("refused", `Nothing was stored: ${refused.join("; ")}.`);
  return [...accepted.values()];
}

/** Senders are judged by where mail comes from, and this mail comes from here. */
function neverJudged(): Error {
  return new Error("mail of this machine was judged by its sender");
}

async function readAll(input: Readable, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of input as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  if (bytes === 0) throw new Failure("no_mail", "There is no mail on standard input.");
  return Buffer.concat(chunks);
}

function tooLarge(maxBytes: number): Failure {
  return new Failure("too_large", `The mail is larger than ${maxBytes} bytes (smtp_max_message_bytes).`);
}
