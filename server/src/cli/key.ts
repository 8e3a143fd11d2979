import { Option, type Command } from "commander";
import type { Address } from "../address.ts";
import { hashKey, makeKey, storeKey } from "../mail/keys.ts";
import type { ApiKey, IngestReach, Store, User } from "../store/store.ts";
import { addressArgument, addressesArgument, futureArgument } from "./arguments.ts";
import { Failure } from "./failure.ts";
import { everyRow, mailboxAddresses, requireMailbox, requireUser } from "./lookup.ts";
import { note } from "./output.ts";
import { withStore, type StoreSession } from "./session.ts";
import { isoTime } from "./units.ts";

interface AddOptions {
  user: Address;
  mailbox?: Address[];
  readOnly?: true;
  ingest?: true;
  allMailboxes?: true;
  expires?: number;
}

/** `catmails key`: API keys and what they may do. */
export function addKeyCommands(program: Command): void {
  const key = program.command("key").description("API keys: who may read what, and until when");
  key
    .command("add")
    .description("make an API key, which is shown once")
    .requiredOption("--user <address>", "main mailbox of the user that the key belongs to (required)", addressArgument)
    .option("--mailbox <address>", "only this mailbox of the user; may be repeated (default: all)", addressesArgument)
    .option("--read-only", "may read, but neither make nor delete temp mailboxes")
    .addOption(
      new Option("--ingest", "may only hand in mail over HTTP, to mailboxes of the user; reads nothing").conflicts(
        "readOnly",
      ),
    )
    .addOption(
      new Option(
        "--all-mailboxes",
        "with --ingest: to every mailbox of the server, for what stands in for an MX",
      ).conflicts("mailbox"),
    )
    .option("--expires <time>", "end, as a duration from now or an ISO 8601 time (default: never)", futureArgument)
    .addHelpText(
      "after",
      `
Examples:
  catmails key add --user alice@example.com
  catmails key add --user alice@example.com --mailbox ci@example.com --read-only --expires 30d
  catmails key add --user alice@example.com --ingest --all-mailboxes`,
    )
    .action((options: AddOptions, command: Command) =>
      withStore(command, { create: false }, (session) => add(session, options)),
    );
  key
    .command("list")
    .description("list keys by their public ids, also those that are over")
    .option("--user <address>", "only this user's", addressArgument)
    .addHelpText("after", "\nExample:\n  catmails key list --user alice@example.com")
    .action((options: { user?: Address }, command: Command) =>
      withStore(command, { create: false }, (session) => list(session, options.user)),
    );
  key
    .command("revoke")
    .description("end a key for good; open sockets that use it are closed within a second")
    .argument(
      "<public-id-or-key>",
      "public id from the list (a whole key also works, but stays in the shell's history)",
    )
    .addHelpText("after", "\nExample:\n  catmails key revoke 4fJ0aZ9q")
    .action((given: string, _options: unknown, command: Command) =>
      withStore(command, { create: false }, (session) => revoke(session, given)),
    );
}

async function add({ store, out }: StoreSession, options: AddOptions): Promise<void> {
  if (options.allMailboxes === true && options.ingest !== true) {
    throw new Failure("ingest_required", "--all-mailboxes goes with --ingest: only such a key reaches past its user.");
  }
  const user = await requireUser(store, options.user);
  const mailboxes = await Promise.all((options.mailbox ?? []).map((address) => requireMailbox(store, address)));
  const foreign = mailboxes.find(({ userId }) => userId !== user.id);
  if (foreign !== undefined) {
    throw new Failure("foreign_mailbox", `${foreign.address} does not belong to ${user.address}.`);
  }
  const made = makeKey();
  const stored = await storeKey(store, made, {
    userId: user.id,
    mailboxIds: mailboxes.length === 0 ? null : [...new Set(mailboxes.map(({ id }) => id))],
    readOnly: options.readOnly === true,
    ingest: options.ingest !== true ? null : options.allMailboxes === true ? "every" : "own",
    expiresAtMs: options.expires ?? null,
    nowMs: Date.now(),
  });
  const view = await viewOf(store, stored, user);
  // The key alone, so that `KEY=$(catmails key add ...)` works.
  await out.result({ key: made.text, ...view }, `${made.text}\n`);
  if (!out.isJson) note(`The key is shown this once: keep it. Its public id is ${view.public_id}.`);
}

async function list({ store, out }: StoreSession, userAddress: Address | undefined): Promise<void> {
  const user = userAddress === undefined ? null : await requireUser(store, userAddress);
  const users = new Map<number, User>();
  for (const one of user === null ? await everyRow((page) => store.listUsers(page)) : [user]) users.set(one.id, one);
  const keys = await everyRow((page) => store.listKeys(user === null ? page : { ...page, userId: user.id }));
  const views: KeyView[] = [];
  for (const key of keys) views.push(await viewOf(store, key, users.get(key.userId) ?? null));
  await out.list(views, {
    columns: ["PUBLIC ID", "USER", "STATE", "MAY", "MAILBOXES", "EXPIRES", "CREATED"].map((title) => ({ title })),
    row: (key) => [
      key.public_id,
      key.user ?? "(removed)",
      key.state,
      key.ingest !== null ? "ingest" : key.read_only ? "read" : "manage",
      key.mailboxes !== null ? key.mailboxes.join(",") : key.ingest === "every" ? "every user's" : "all",
      key.expires_at ?? "never",
      key.created_at,
    ],
    whenEmpty: "No keys. Make one: catmails key add --user ADDRESS",
  });
}

interface KeyView {
  public_id: string;
  user: string | null;
  state: "active" | "expired" | "revoked";
  read_only: boolean;
  /** Not `null`: it only hands in mail, for its own user or for every mailbox of the server. */
  ingest: IngestReach | null;
  mailboxes: string[] | null;
  expires_at: string | null;
  created_at: string;
}

async function viewOf(store: Store, key: ApiKey, user: User | null): Promise<KeyView> {
  const addresses = key.mailboxIds === null ? null : await mailboxAddresses(store, key.mailboxIds);
  const isExpired = key.expiresAtMs !== null && key.expiresAtMs <= Date.now();
  return {
    public_id: key.publicId,
    user: user?.address ?? null,
    state: key.revokedAtMs !== null ? "revoked" : isExpired ? "expired" : "active",
    read_only: key.readOnly,
    ingest: key.ingest,
    mailboxes: addresses === null ? null : [...addresses.values()],
    expires_at: key.expiresAtMs === null ? null : isoTime(key.expiresAtMs),
    created_at: isoTime(key.createdAtMs),
  };
}

async function revoke({ store, out }: StoreSession, given: string): Promise<void> {
  const nowMs = Date.now();
  const publicId = given.startsWith("mk_") ? (await store.findKey(hashKey(given), nowMs))?.publicId : given;
  // What was given is not repeated: it may be a key.
  const revoked = publicId !== undefined && (await store.revokeKey({ publicId, nowMs }));
  if (!revoked) throw new Failure("no_key", 'There is no such active key. "catmails key list" shows all.');
  await out.result({ revoked: publicId }, `Revoked ${publicId}.\n`);
}
