import type { SeedPush } from "@catmails/client";
import type { Command } from "commander";
import type { Address } from "../address.ts";
import { timeFormatter } from "../clock.ts";
import { seedPush } from "../http/seed-mail.ts";
import type { MailFilter, Store } from "../store/store.ts";
import { addressesArgument, countArgument } from "./arguments.ts";
import { Failure } from "./failure.ts";
import { findPlace, requirePlace } from "./lookup.ts";
import { note } from "./output.ts";
import { openContents, withStore, type StoreSession } from "./session.ts";
import { oneLine } from "./text-table.ts";

const pageMails = 100;
const pageChars = 1024 * 1024;
/** The store says when something came; looking again now and then costs nothing and keeps the process alive. */
const lookAgainMs = 5000;

/** `catmails tail`: mails of one user as they are stored, by whichever process. */
export function addTailCommand(program: Command): void {
  program
    .command("tail")
    .description("print mails as they arrive, until Ctrl-C; at most half a second behind the server")
    .argument("<address...>", "mailboxes of one user, or tag and catch-all addresses", addressesArgument)
    .option("--since <id>", "first print what is stored after this id", countArgument)
    .addHelpText(
      "after",
      `
With --json each mail is one line, in the form of the WebSocket's frames.

Examples:
  catmails tail demo@mails.localhost
  catmails tail demo@mails.localhost --since 0 --json | jq -r .content`,
    )
    .action((addresses: Address[], options: { since?: number }, command: Command) =>
      withStore(command, { create: false }, (session) => tail(session, addresses, options.since)),
    );
}

interface Followed {
  address: Address;
  userId: number;
  filter: MailFilter;
}

async function tail(session: StoreSession, addresses: readonly Address[], since?: number): Promise<void> {
  const { store, config, out } = session;
  const formatTime = timeFormatter(config.time_zone);
  const { userId, followed } = await placesOfOneUser(store, addresses);
  await using parts = new AsyncDisposableStack();
  const contents = await openContents(store, parts);
  const stop = new AbortController();
  const end = (): void => stop.abort();
  process.once("SIGINT", end);
  process.once("SIGTERM", end);
  const bell = new Bell(stop.signal);
  using _ = store.onForeignChange(() => bell.ring());
  let cursor = since ?? (await store.lastMailIds([userId])).get(userId) ?? 0;
  note(`Following ${addresses.map(({ text }) => text).join(", ")}. Ctrl-C ends.`);
  while (!stop.signal.aborted) {
    bell.mute();
    const page = await contents.list({
      userId,
      filters: followed.map(({ filter }) => filter),
      afterId: cursor,
      order: "oldest",
      limit: pageMails,
      maxChars: pageChars,
      nowMs: Date.now(),
    });
    for (const mail of page) {
      cursor = mail.id;
      const push = seedPush(mail, formatTime);
      await out.result(push, lineOf(push));
    }
    if (page.length > 0) continue;
    await requireUnchanged(store, followed);
    await bell.rung(lookAgainMs);
  }
}

async function placesOfOneUser(
  store: Store,
  addresses: readonly Address[],
): Promise<{ userId: number; followed: Followed[] }> {
  const followed: Followed[] = [];
  for (const address of addresses) {
    const { mailbox, filter } = await requirePlace(store, address);
    followed.push({ address, userId: mailbox.userId, filter });
  }
  const userId = followed[0]?.userId ?? 0;
  const foreign = followed.find((one) => one.userId !== userId);
  // Ids count per user, so that two users' mails have no common order and no common `--since`.
  if (foreign !== undefined) {
    throw new Failure("two_users", `${foreign.address.text} belongs to another user; follow one user at a time.`);
  }
  return { userId, followed };
}

/** An address that was given up and taken again is another mailbox, which nobody asked to follow. */
async function requireUnchanged(store: Store, followed: readonly Followed[]): Promise<void> {
  for (const { address, userId, filter } of followed) {
    const place = await findPlace(store, address);
    if (place?.mailbox.userId === userId && place.filter.mailboxId === filter.mailboxId) continue;
    throw new Failure("no_mailbox", `The mailbox of ${address.text} is gone.`);
  }
}

/** Remembers a ring until somebody has waited for it. */
class Bell {
  #waiting = Promise.withResolvers<void>();
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", () => this.ring());
  }

  ring(): void {
    this.#waiting.resolve();
  }

  /** Forgets rings so far. */
  mute(): void {
    if (!this.#signal.aborted) this.#waiting = Promise.withResolvers<void>();
  }

  /** Resolves once it has rung since {@link mute}, or after so long. */
  async rung(timeoutMs: number): Promise<void> {
    const timer = setTimeout(() => this.ring(), timeoutMs);
    await this.#waiting.promise;
    clearTimeout(timer);
  }
}

function lineOf({ id, received_at: receivedAt, from, to, subject, content }: SeedPush): string {
  const text = oneLine(content, 200);
  return `${receivedAt}  #${id}  ${oneLine(from, 100)} -> ${to}  ${oneLine(subject, 200)}\n${text === "" ? "" : `  ${text}\n`}`;
}
