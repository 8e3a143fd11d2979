import type { Command } from "commander";
import type { Address } from "../address.ts";
import { timeFormatter } from "../clock.ts";
import { seedMail } from "../http/seed-mail.ts";
import { defaultPageMails, maxPageChars, maxPageMails, viewMail, type MailView } from "../mail/reading.ts";
import { mailDetails } from "../http/mail-details.ts";
import type { Store, StoredMail } from "../store/store.ts";
import { addressArgument, countArgument, limitArgument } from "./arguments.ts";
import { Failure } from "./failure.ts";
import { requirePlace, requireUser } from "./lookup.ts";
import { openContents, withStore, type StoreSession } from "./session.ts";
import { manyLines, oneLine } from "./text-table.ts";
import { sizeText } from "./units.ts";

interface ListOptions {
  limit?: number;
  since?: number;
  before?: number;
}

/** `catmails mail`: reading what is stored, without a key. */
export function addMailCommands(program: Command): void {
  const mail = program.command("mail").description("stored mails: list, show, and the bytes as received");
  mail
    .command("list")
    .description("list the mails of a mailbox, newest first")
    .argument("<address>", "mailbox, or a tag or catch-all address for its own mails only", addressArgument)
    .option("--limit <count>", `at most so many, up to ${maxPageMails} (default: ${defaultPageMails})`, limitArgument)
    .option("--since <id>", "the oldest mails after this id", countArgument)
    .option("--before <id>", "the newest mails before this id", countArgument)
    .addHelpText(
      "after",
      `
Examples:
  catmails mail list demo@mails.localhost
  catmails mail list demo+ci@mails.localhost --limit 1 --json | jq -r '.[0].content'`,
    )
    .action((address: Address, options: ListOptions, command: Command) =>
      withStore(command, { create: false }, (session) => list(session, address, options)),
    );
  addReading(mail);
}

function addReading(mail: Command): void {
  mail
    .command("show")
    .description("show one mail")
    .argument("<id>", "id of the mail, counted per user", countArgument)
    .requiredOption("--user <address>", "main mailbox of the user whose mail it is (required)", addressArgument)
    .addHelpText("after", "\nExample:\n  catmails mail show 128 --user demo@mails.localhost")
    .action((id: number, options: { user: Address }, command: Command) =>
      withStore(command, { create: false }, (session) => show(session, id, options.user)),
    );
  mail
    .command("raw")
    .description("write one mail to standard output, byte for byte as it was received")
    .argument("<id>", "id of the mail, counted per user", countArgument)
    .requiredOption("--user <address>", "main mailbox of the user whose mail it is (required)", addressArgument)
    .addHelpText("after", "\nExample:\n  catmails mail raw 128 --user demo@mails.localhost > 128.eml")
    .action((id: number, options: { user: Address }, command: Command) =>
      withStore(command, { create: false }, async ({ store, out }) => {
        const { raw } = await read(store, id, options.user);
        await out.write(raw);
      }),
    );
}

async function list({ store, config, out }: StoreSession, address: Address, options: ListOptions): Promise<void> {
  const { mailbox, filter } = await requirePlace(store, address);
  const { since, before } = options;
  const limit = Math.min(options.limit ?? defaultPageMails, maxPageMails);
  await using parts = new AsyncDisposableStack();
  const contents = await openContents(store, parts);
  const page = await contents.list({
    userId: mailbox.userId,
    filters: [filter],
    order: since === undefined ? "newest" : "oldest",
    limit,
    maxChars: maxPageChars,
    nowMs: Date.now(),
    ...(since === undefined ? {} : { afterId: since }),
    ...(before === undefined ? {} : { beforeId: before }),
  });
  const formatTime = timeFormatter(config.time_zone);
  // Newest first, as the API has it.
  const newestFirst = since === undefined ? page : page.reverse();
  await out.list(
    newestFirst.map((mail) => seedMail(mail, formatTime)),
    {
      columns: [{ title: "ID", align: "right" }, ...["RECEIVED", "FROM", "TO", "SUBJECT"].map((title) => ({ title }))],
      row: (mail) => [
        String(mail.id),
        mail.received_at,
        oneLine(mail.mail_from, 60),
        mail.mail_to,
        oneLine(mail.subject, 100),
      ],
      whenEmpty: `No mails for ${address.text}.`,
    },
  );
}

async function show({ store, config, out }: StoreSession, id: number, userAddress: Address): Promise<void> {
  const user = await requireUser(store, userAddress);
  await using parts = new AsyncDisposableStack();
  const mail = await viewMail(await openContents(store, parts), { userId: user.id, id, mailboxIds: null });
  if (mail === null) throw noMail(user.address, id);
  const details = mailDetails(mail, timeFormatter(config.time_zone));
  const defects = mail.defects.length === 0 ? "" : `Defects   ${mail.defects.join(", ")}\n`;
  await out.result(
    details,
    `Id        ${details.id}
From      ${oneLine(details.mail_from, 400)}
To        ${details.mail_to}
Sender    ${mail.envelopeFrom === "" ? "<>" : oneLine(mail.envelopeFrom, 400)}
Subject   ${oneLine(details.subject, 1000)}
Received  ${details.received_at} ${config.time_zone}
Size      ${sizeText(mail.sizeBytes)}
Client    ${clientText(mail)}
Checks    ${checksText(mail)}
${defects}
${manyLines(details.content)}
`,
  );
}

function clientText({ origin }: MailView): string {
  if (origin === null) return "this machine";
  return `${origin.ip} (${origin.helo === "" ? "no name" : oneLine(origin.helo, 255)}) by ${origin.transmission}`;
}

function checksText({ authentication }: MailView): string {
  const { state, marked, spf, dkim, dmarc, arc } = authentication;
  if (state === "unchecked") return "none";
  const signed = dkim.length === 0 ? "none" : dkim.map(({ result }) => result).join(",");
  const mark = marked ? ", MARKED" : "";
  return oneLine(`DMARC ${dmarc.result}, SPF ${spf.result}, DKIM ${signed}, ARC ${arc.result}${mark}`, 400);
}

async function read(store: Store, id: number, userAddress: Address): Promise<StoredMail> {
  const user = await requireUser(store, userAddress);
  const mail = await store.readMail({ userId: user.id, id, mailboxIds: null, nowMs: Date.now() });
  if (mail !== null) return mail;
  throw noMail(user.address, id);
}

function noMail(address: string, id: number): Failure {
  return new Failure("no_mail", `${address} has no mail ${id}.`);
}
