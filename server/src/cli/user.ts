import type { Command } from "commander";
import type { Address } from "../address.ts";
import { Refusal } from "../errors.ts";
import { addUser, ensureDomain } from "../mail/setup.ts";
import type { User } from "../store/store.ts";
import { mailboxArgument } from "./arguments.ts";
import { explainAddress, Failure } from "./failure.ts";
import { everyRow, requireUser } from "./lookup.ts";
import { withStore, type StoreSession } from "./session.ts";
import { isoTime, sizeText } from "./units.ts";

/** `catmails user`: who owns mailboxes and keys. */
export function addUserCommands(program: Command): void {
  const user = program.command("user").description("users: owners of mailboxes and API keys");
  user
    .command("add")
    .description("make a user with a main mailbox and an API key, which is shown once")
    .argument("<address>", "address of the main mailbox", mailboxArgument)
    .addHelpText(
      "after",
      `
Examples:
  catmails user add alice@example.com
  KEY=$(catmails user add alice@example.com --json | jq -r .key)`,
    )
    .action((address: Address, _options: unknown, command: Command) =>
      withStore(command, { create: true }, (session) => add(session, address)),
    );
  user
    .command("list")
    .description("list users with what they keep")
    .addHelpText("after", "\nExample:\n  catmails user list")
    .action((_options: unknown, command: Command) => withStore(command, { create: false }, list));
  user
    .command("remove")
    .description("remove a user with all keys, mailboxes and mails; the addresses stay reserved")
    .argument("<address>", "address of the main mailbox", mailboxArgument)
    .option("--force", "also when there are mails")
    .addHelpText("after", "\nExample:\n  catmails user remove alice@example.com --force")
    .action((address: Address, options: { force?: true }, command: Command) =>
      withStore(command, { create: false }, (session) => remove(session, address, options.force === true)),
    );
}

async function add({ store, config, out }: StoreSession, address: Address): Promise<void> {
  const input = { address: address.text, nowMs: Date.now() };
  // The server adds its own domain at its first start, which may not have been yet.
  if (address.domain === config.domain) {
    await ensureDomain(store, { name: config.domain, allowsTemp: false, nowMs: input.nowMs });
  }
  const made = await addUser(store, input).catch((error: unknown) => {
    throw explainAddress(error, address);
  });
  const { user, key, stored } = made;
  await out.result(
    { address: user.address, key, public_id: stored.publicId },
    `User     ${user.address}\nAPI key  ${key}\n         shown this once: keep it\n`,
  );
}

async function list({ store, out }: StoreSession): Promise<void> {
  const users = await everyRow((page) => store.listUsers(page));
  await out.list(users.map(view), {
    columns: [
      { title: "ADDRESS" },
      { title: "MAILS", align: "right" },
      { title: "SIZE", align: "right" },
      { title: "CREATED" },
    ],
    row: (user) => [user.address, String(user.mails), sizeText(user.bytes), user.created_at],
    whenEmpty: "No users yet. Add one: catmails user add ADDRESS",
  });
}

function view({ address, mailCount, usedBytes, createdAtMs }: User): {
  address: string;
  mails: number;
  bytes: number;
  created_at: string;
} {
  return { address, mails: mailCount, bytes: usedBytes, created_at: isoTime(createdAtMs) };
}

async function remove(session: StoreSession, address: Address, force: boolean): Promise<void> {
  const { store, config, out } = session;
  const user = await requireUser(store, address);
  if (user.mailCount > 0 && !force) {
    throw new Failure(
      "has_mails",
      `${user.address} still has mails (${user.mailCount}). Add --force to delete them too.`,
    );
  }
  const removed = await store.removeUser({
    userId: user.id,
    nowMs: Date.now(),
    reserveMs: config.temp_name_reserved,
  });
  if (!removed) throw new Refusal("not_found");
  await out.result({ removed: user.address }, `Removed ${user.address} with its keys, mailboxes and mails.\n`);
}
