import type { Command } from "commander";
import type { Address } from "../address.ts";
import { isRefusal } from "../errors.ts";
import { addressArgument, domainArgument } from "./arguments.ts";
import { Failure } from "./failure.ts";
import { everyRow, mailboxAddresses, requireMailbox } from "./lookup.ts";
import { withStore, type StoreSession } from "./session.ts";
import { isoTime } from "./units.ts";

interface AddOptions {
  temp?: true;
  catchAll?: Address;
}

/** `catmails domain`: what the server takes mail for. */
export function addDomainCommands(program: Command): void {
  const domain = program.command("domain").description("domains: what the server takes mail for");
  domain
    .command("add")
    .description("serve a domain from now on")
    .argument("<name>", "domain name", domainArgument)
    .option("--temp", "temp mailboxes may be made in it")
    .option("--catch-all <address>", "existing mailbox for addresses that have none", addressArgument)
    .addHelpText(
      "after",
      `
Examples:
  catmails domain add example.com
  catmails domain add temp.example.com --temp`,
    )
    .action((name: string, options: AddOptions, command: Command) =>
      withStore(command, { create: true }, (session) => add(session, name, options)),
    );
  domain
    .command("list")
    .description("list the domains that are served")
    .addHelpText("after", "\nExample:\n  catmails domain list")
    .action((_options: unknown, command: Command) => withStore(command, { create: false }, list));
  addChanges(domain);
}

function addChanges(domain: Command): void {
  domain
    .command("set")
    .description("change where mail goes that is for no mailbox of the domain")
    .argument("<name>", "domain name", domainArgument)
    .option("--catch-all <address>", "to this existing mailbox", addressArgument)
    .option("--no-catch-all", "nowhere: it is refused")
    .addHelpText(
      "after",
      `
Examples:
  catmails domain set example.com --catch-all alice@example.com
  catmails domain set example.com --no-catch-all`,
    )
    .action((name: string, options: { catchAll?: Address | false }, command: Command) => {
      const { catchAll } = options;
      if (catchAll === undefined)
        throw new Failure("usage", "Say what to set: --catch-all ADDRESS or --no-catch-all.", { exitCode: 2 });
      return withStore(command, { create: false }, (session) => set(session, name, catchAll || null));
    });
  domain
    .command("remove")
    .description("serve a domain no longer; it must have no mailboxes left")
    .argument("<name>", "domain name", domainArgument)
    .addHelpText("after", "\nExample:\n  catmails domain remove example.com")
    .action((name: string, _options: unknown, command: Command) =>
      withStore(command, { create: false }, (session) => remove(session, name)),
    );
}

async function add({ store, out }: StoreSession, name: string, options: AddOptions): Promise<void> {
  // Looked up first, so that a wrong address leaves nothing behind.
  const catchAll = options.catchAll === undefined ? null : await requireMailbox(store, options.catchAll);
  await store.createDomain({ name, allowsTemp: options.temp === true, nowMs: Date.now() }).catch((error: unknown) => {
    throw isRefusal(error) ? new Failure(error.entry.code, `${name}: ${error.entry.text}.`) : error;
  });
  if (catchAll !== null) await store.updateDomain({ name, catchAllMailboxId: catchAll.id });
  await out.result(
    { name, temp: options.temp === true, catch_all: catchAll?.address ?? null },
    catchAll === null
      ? `${name} is served now. Add a user: catmails user add someone@${name}\n`
      : `${name} is served now. Mail for no mailbox of it goes to ${catchAll.address}.\n`,
  );
}

async function list({ store, out }: StoreSession): Promise<void> {
  const domains = await everyRow((page) => store.listDomains(page));
  const ids = domains.map(({ catchAllMailboxId }) => catchAllMailboxId).filter((id) => id !== null);
  const addresses = await mailboxAddresses(store, ids);
  const views = domains.map(({ name, allowsTemp, catchAllMailboxId, createdAtMs }) => ({
    name,
    temp: allowsTemp,
    catch_all: catchAllMailboxId === null ? null : (addresses.get(catchAllMailboxId) ?? null),
    created_at: isoTime(createdAtMs),
  }));
  await out.list(views, {
    columns: ["NAME", "TEMP", "CATCH-ALL", "CREATED"].map((title) => ({ title })),
    row: (one) => [one.name, one.temp ? "yes" : "no", one.catch_all ?? "none", one.created_at],
    whenEmpty: "No domains. Add one: catmails domain add NAME",
  });
}

async function set({ store, out }: StoreSession, name: string, catchAll: Address | null): Promise<void> {
  const mailbox = catchAll === null ? null : await requireMailbox(store, catchAll);
  const found = await store.updateDomain({ name, catchAllMailboxId: mailbox?.id ?? null });
  if (!found) throw noDomain(name);
  await out.result(
    { name, catch_all: mailbox?.address ?? null },
    mailbox === null
      ? `Mail for no mailbox of ${name} is refused.\n`
      : `Mail for no mailbox of ${name} goes to ${mailbox.address}.\n`,
  );
}

async function remove({ store, config, out }: StoreSession, name: string): Promise<void> {
  const removed = await store.removeDomain({ name, nowMs: Date.now() }).catch((error: unknown) => {
    if (!isRefusal(error, "domain_in_use")) throw error;
    throw new Failure(error.entry.code, `${name} still has mailboxes. Remove its users and aliases first.`);
  });
  if (!removed) throw noDomain(name);
  const comesBack = name === config.domain || name === config.temp_domain;
  await out.result(
    { removed: name },
    `Removed ${name}.\n${comesBack ? "It is in the configuration, so the next start of the server adds it again.\n" : ""}`,
  );
}

function noDomain(name: string): Failure {
  return new Failure("no_domain", `${name} is not served here. "catmails domain list" shows all.`);
}
