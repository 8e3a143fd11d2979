import { InvalidArgumentError, type Command } from "commander";
import { parseAddress, parseDomain } from "../address.ts";
import { isRefusal } from "../errors.ts";
import { parseNetwork } from "../network.ts";
import type { RuleAction, RuleKind } from "../store/store.ts";
import { Failure } from "./failure.ts";
import { everyRow } from "./lookup.ts";
import { withStore, type StoreSession } from "./session.ts";
import { isoTime } from "./units.ts";

interface Rule {
  kind: RuleKind;
  value: string;
}

const words = {
  allow: { done: "Allowed", about: "senders that are asked nothing more: not blocked, no block lists, no greylisting" },
  block: { done: "Blocked", about: "senders whose mail is refused" },
} as const;

/** `catmails allow` and `catmails block`: addresses, domains and networks that may always, or never, send mail here. */
export function addSenderListCommands(program: Command): void {
  addList(program, "allow");
  addList(program, "block");
}

function addList(program: Command, action: RuleAction): void {
  const list = program.command(action).description(words[action].about);
  list
    .command("add")
    .description("add a sender; it counts within a second")
    .argument(
      "<value>",
      "envelope sender's address, its domain with all subdomains, or a client's network",
      ruleArgument,
    )
    .addHelpText(
      "after",
      `
Examples:
  catmails ${action} add someone@example.com
  catmails ${action} add example.com
  catmails ${action} add 192.0.2.0/24`,
    )
    .action((rule: Rule, _options: unknown, command: Command) =>
      withStore(command, { create: false }, (session) => add(session, action, rule)),
    );
  list
    .command("list")
    .description("list them")
    .addHelpText("after", `\nExample:\n  catmails ${action} list`)
    .action((_options: unknown, command: Command) =>
      withStore(command, { create: false }, (session) => show(session, action)),
    );
  list
    .command("remove")
    .description("take a sender off the list")
    .argument("<value>", "as it was added", ruleArgument)
    .addHelpText("after", `\nExample:\n  catmails ${action} remove example.com`)
    .action((rule: Rule, _options: unknown, command: Command) =>
      withStore(command, { create: false }, (session) => remove(session, action, rule)),
    );
}

function ruleArgument(text: string): Rule {
  const network = parseNetwork(text);
  if (network !== null) return { kind: "network", value: network };
  const address = parseAddress(text);
  if (address !== null) return { kind: "address", value: address.text };
  const domain = parseDomain(text);
  if (domain !== null && !domain.startsWith("[")) return { kind: "domain", value: domain };
  throw new InvalidArgumentError("It is no address, domain or network.");
}

async function add({ store, out }: StoreSession, action: RuleAction, rule: Rule): Promise<void> {
  await store.addSenderRule({ action, ...rule, nowMs: Date.now() }).catch((error: unknown) => {
    throw isRefusal(error) ? new Failure(error.entry.code, `${rule.value}: ${error.entry.text}.`) : error;
  });
  await out.result({ action, ...rule }, `${words[action].done}: ${rule.value}\n`);
}

async function show({ store, out }: StoreSession, action: RuleAction): Promise<void> {
  const rules = await everyRow((page) => store.listSenderRules({ ...page, action }));
  await out.list(
    rules.map(({ kind, value, createdAtMs }) => ({ kind, value, created_at: isoTime(createdAtMs) })),
    {
      columns: ["KIND", "VALUE", "CREATED"].map((title) => ({ title })),
      row: (rule) => [rule.kind, rule.value, rule.created_at],
      whenEmpty: `Nobody. Add someone: catmails ${action} add VALUE`,
    },
  );
}

async function remove({ store, out }: StoreSession, action: RuleAction, { value }: Rule): Promise<void> {
  const removed = await store.removeSenderRule({ action, value });
  if (!removed) throw new Failure("no_rule", `${value} is not on the list. "catmails ${action} list" shows it.`);
  await out.result({ removed: value }, `Removed ${value}.\n`);
}
