import type { Command } from "commander";
import type { Address } from "../address.ts";
import { isRefusal } from "../errors.ts";
import { addressArgument, mailboxArgument } from "./arguments.ts";
import { explainAddress, Failure } from "./failure.ts";
import { everyRow, requireMailbox, requireUser } from "./lookup.ts";
import { withStore, type StoreSession } from "./session.ts";
import { isoTime } from "./units.ts";

interface AddOptions {
  user: Address;
  takeReserved?: true;
}

/** `catmails alias`: further mailboxes of a user. */
export function addAliasCommands(program: Command): void {
  const alias = program.command("alias").description("aliases: further mailboxes of a user");
  alias
    .command("add")
    .description("give a user one more mailbox")
    .argument("<address>", "address of the new mailbox", mailboxArgument)
    .requiredOption("--user <address>", "main mailbox of the user (required)", addressArgument)
    .option("--take-reserved", "also an address that somebody else gave up and that is still reserved")
    .addHelpText("after", "\nExample:\n  catmails alias add shop@example.com --user alice@example.com")
    .action((address: Address, options: AddOptions, command: Command) =>
      withStore(command, { create: false }, (session) => add(session, address, options)),
    );
  alias
    .command("list")
    .description("list aliases and temp mailboxes (main mailboxes: catmails user list)")
    .option("--user <address>", "only this user's", addressArgument)
    .addHelpText("after", "\nExample:\n  catmails alias list --user alice@example.com")
    .action((options: { user?: Address }, command: Command) =>
      withStore(command, { create: false }, (session) => list(session, options.user)),
    );
  alias
    .command("remove")
    .description("delete an alias or temp mailbox with its mails; the address stays reserved")
    .argument("<address>", "address of the mailbox", addressArgument)
    .addHelpText("after", "\nExample:\n  catmails alias remove shop@example.com")
    .action((address: Address, _options: unknown, command: Command) =>
      withStore(command, { create: false }, (session) => remove(session, address)),
    );
}

async function add({ store, out }: StoreSession, address: Address, options: AddOptions): Promise<void> {
  const user = await requireUser(store, options.user);
  const input = {
    userId: user.id,
    address: address.text,
    kind: "alias",
    nowMs: Date.now(),
    expiresAtMs: null,
    random: false,
    forKeyId: null,
    maxTemp: 0,
    takeReserved: options.takeReserved === true,
  } as const;
  const mailbox = await store.createMailbox(input).catch((error: unknown) => {
    if (!isRefusal(error, "address_reserved")) throw explainAddress(error, address);
    throw new Failure(
      error.entry.code,
      `${address.text} was given up by somebody else and is still reserved. --take-reserved gives it away anyhow.`,
    );
  });
  await out.result(
    { address: mailbox.address, user: user.address },
    `${mailbox.address} now belongs to ${user.address}.\n`,
  );
}

async function list({ store, out }: StoreSession, userAddress: Address | undefined): Promise<void> {
  const users =
    userAddress === undefined
      ? await everyRow((page) => store.listUsers(page))
      : [await requireUser(store, userAddress)];
  const names = new Map(users.map((user) => [user.id, user.address]));
  const nowMs = Date.now();
  const [only] = userAddress === undefined ? [] : users;
  const mailboxes = await everyRow((page) =>
    store.listMailboxes({ ...page, nowMs, ...(only === undefined ? {} : { userId: only.id }) }),
  );
  const views = mailboxes
    .filter(({ kind }) => kind !== "main")
    .map(({ address, kind, userId, expiresAtMs, createdAtMs }) => ({
      address,
      kind,
      user: names.get(userId) ?? null,
      expires_at: expiresAtMs === null ? null : isoTime(expiresAtMs),
      created_at: isoTime(createdAtMs),
    }));
  await out.list(views, {
    columns: ["ADDRESS", "KIND", "USER", "EXPIRES", "CREATED"].map((title) => ({ title })),
    row: (one) => [one.address, one.kind, one.user ?? "", one.expires_at ?? "never", one.created_at],
    whenEmpty: "No aliases. Add one: catmails alias add ADDRESS --user ADDRESS",
  });
}

async function remove({ store, config, out }: StoreSession, address: Address): Promise<void> {
  const mailbox = await requireMailbox(store, address);
  if (mailbox.kind === "main") {
    throw new Failure(
      "main_mailbox",
      `${mailbox.address} is a main mailbox; it goes with its user: catmails user remove ${mailbox.address}`,
    );
  }
  const deleted = await store.deleteMailbox({
    userId: mailbox.userId,
    address: mailbox.address,
    kinds: ["alias", "temp"],
    mailboxIds: null,
    nowMs: Date.now(),
    reserveMs: config.temp_name_reserved,
  });
  if (!deleted) throw new Failure("no_mailbox", `There is no mailbox ${mailbox.address}.`);
  await out.result({ removed: mailbox.address }, `Removed ${mailbox.address} with its mails.\n`);
}
