import { Option, type Command } from "commander";
import type { Address } from "../address.ts";
import { isRefusal } from "../errors.ts";
import type { DmarcPolicy, DomainChange } from "../store/store.ts";
import { addressArgument, domainArgument } from "./arguments.ts";
import { Failure } from "./failure.ts";
import { everyRow, mailboxAddresses, requireMailbox } from "./lookup.ts";
import { withStore, type StoreSession } from "./session.ts";
import { isoTime } from "./units.ts";

interface AddOptions {
  temp?: true;
  catchAll?: Address;
  dmarc?: DmarcPolicy;
}

interface SetOptions {
  catchAll?: Address | false;
  dmarc?: DmarcPolicy;
}

const dmarcPolicies = ["accept", "mark", "refuse"] as const satisfies readonly DmarcPolicy[];

function dmarcOption(): Option {
  const about = "what to do with mail whose sender's domain asks to have it rejected (DMARC)";
  return new Option("--dmarc <policy>", about).choices(dmarcPolicies);
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
    .addOption(dmarcOption())
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
    .description("change where mail for no mailbox of the domain goes, or what it does with forged mail")
    .argument("<name>", "domain name", domainArgument)
    .option("--catch-all <address>", "to this existing mailbox", addressArgument)
    .option("--no-catch-all", "nowhere: it is refused")
    .addOption(dmarcOption())
    .addHelpText(
      "after",
      `
Examples:
  catmails domain set example.com --catch-all alice@example.com
  catmails domain set example.com --no-catch-all
  catmails domain set example.com --dmarc refuse`,
    )
    .action((name: string, options: SetOptions, command: Command) => {
      if (options.catchAll === undefined && options.dmarc === undefined) {
        const what = "--catch-all ADDRESS, --no-catch-all or --dmarc POLICY";
        throw new Failure("usage", `Say what to set: ${what}.`, { exitCode: 2 });
      }
      return withStore(command, { create: false }, (session) => set(session, name, options));
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
  const dmarc = options.dmarc ?? "accept";
  const domain = { name, allowsTemp: options.temp === true, dmarc, nowMs: Date.now() };
  await store.createDomain(domain).catch((error: unknown) => {
    throw isRefusal(error) ? new Failure(error.entry.code, `${name}: ${error.entry.text}.`) : error;
  });
  if (catchAll !== null) await store.updateDomain({ name, catchAllMailboxId: catchAll.id });
  await out.result(
    { name, temp: options.temp === true, catch_all: catchAll?.address ?? null, dmarc },
    catchAll === null
      ? `${name} is served now. Add a user: catmails user add someone@${name}\n`
      : `${name} is served now. Mail for no mailbox of it goes to ${catchAll.address}.\n`,
  );
}

async function list({ store, out }: StoreSession): Promise<void> {
  const domains = await everyRow((page) => store.listDomains(page));
  const ids = domains.map(({ catchAllMailboxId }) => catchAllMailboxId).filter((id) => id !== null);
  const addresses = await mailboxAddresses(store, ids);
  const views = domains.map(({ name, allowsTemp, catchAllMailboxId, dmarc, createdAtMs }) => ({
    name,
    temp: allowsTemp,
    catch_all: catchAllMailboxId === null ? null : (addresses.get(catchAllMailboxId) ?? null),
    dmarc,
    created_at: isoTime(createdAtMs),
  }));
  await out.list(views, {
    columns: ["NAME", "TEMP", "CATCH-ALL", "DMARC", "CREATED"].map((title) => ({ title })),
    row: (one) => [one.name, one.temp ? "yes" : "no", one.catch_all ?? "none", one.dmarc, one.created_at],
    whenEmpty: "No domains. Add one: catmails domain add NAME",
  });
}

async function set({ store, out }: StoreSession, name: string, options: SetOptions): Promise<void> {
  const { catchAll, dmarc } = options;
  const mailbox = catchAll instanceof Object ? await requireMailbox(store, catchAll) : null;
  const change: DomainChange = { name };
  if (catchAll !== undefined) change.catchAllMailboxId = mailbox?.id ?? null;
  if (dmarc !== undefined) change.dmarc = dmarc;
  if (!(await store.updateDomain(change))) throw noDomain(name);
  const lines: string[] = [];
  if (mailbox !== null) lines.push(`Mail for no mailbox of ${name} goes to ${mailbox.address}.\n`);
  else if (catchAll !== undefined) lines.push(`Mail for no mailbox of ${name} is refused.\n`);
  if (dmarc !== undefined)
    lines.push(`${name} ${dmarcTexts[dmarc]} mail whose sender's domain asks to have it rejected.\n`);
  await out.result(
    {
      name,
      ...(catchAll === undefined ? {} : { catch_all: mailbox?.address ?? null }),
      ...(dmarc === undefined ? {} : { dmarc }),
    },
    lines.join(""),
  );
}

const dmarcTexts: Readonly<Record<DmarcPolicy, string>> = { accept: "takes", mark: "marks", refuse: "refuses" };

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
