import type { SeedDeleted, SeedMailboxes, SeedTempMailbox } from "@catmails/client";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { TimeFormatter } from "../clock.ts";
import { Refusal } from "../errors.ts";
import { splitAddresses, type Access, type AccessControl } from "../mail/access.ts";
import type { Mailboxes } from "../mail/mailboxes.ts";
import { defaultPageMails, dmarcResults, type MailRecord, type Reader } from "../mail/reading.ts";
import type { AnswerTurn } from "./answer-turn.ts";
import { readParameters } from "./body.ts";
import { answerOptions } from "./cors.ts";
import { ListTexts } from "./list-texts.ts";
import type { Parameters } from "./parameters.ts";
import { PresentedKey } from "./presented-key.ts";
import type { UnreadAnswers } from "./unread-answers.ts";

/** What the seed API stands on. */
export interface SeedApiOptions {
  access: AccessControl;
  reader: Reader;
  mailboxes: Mailboxes;
  formatTime: TimeFormatter;
  unread: UnreadAnswers;
  turn: AnswerTurn;
}

/** One call after its key and name were checked. */
interface Call {
  access: Access;
  parameters: Parameters;
  reply: FastifyReply;
}

interface Action {
  /** Changes something, so it is not for GET. */
  changes: boolean;
  /** Bytes are JSON that is ready. */
  run(call: Call): Promise<Buffer | SeedMailboxes | SeedTempMailbox | SeedDeleted>;
}

// Some 100 years: nobody means more, and times stay exact.
const maxTtlSeconds = 3_155_760_000;

/** The five documented calls at `/api`. */
export class SeedApi {
  readonly #options: SeedApiOptions;
  readonly #texts: ListTexts;
  readonly #waits = new Set<AbortController>();
  readonly #never = new AbortController().signal;
  #closing = false;
  readonly #actions: ReadonlyMap<string, Action> = new Map<string, Action>([
    ["getmails", { changes: false, run: (call) => this.#list(call) }],
    ["mailboxes", { changes: false, run: (call) => this.#listMailboxes(call) }],
    ["create_temp_mailbox", { changes: true, run: (call) => this.#createTemp(call) }],
    ["delete_temp_mailbox", { changes: true, run: (call) => this.#deleteTemp(call) }],
  ]);

  constructor(options: SeedApiOptions) {
    this.#options = options;
    this.#texts = new ListTexts(options.formatTime);
  }

  /** Adds the routes; HEAD comes with GET. */
  serve(app: FastifyInstance): void {
    app.route({ method: ["GET", "POST"], url: "/api", handler: (request, reply) => this.#answer(request, reply) });
    app.options("/api", (_request, reply) => answerOptions(reply));
  }

  /** Answers every open wait with `unavailable`, and from now on those that would wait. */
  endWaits(): void {
    this.#closing = true;
    for (const wait of this.#waits) wait.abort();
  }

  async #answer(request: FastifyRequest, reply: FastifyReply): Promise<object> {
    const parameters = await readParameters(request);
    const key = new PresentedKey(request.headers.authorization, parameters);
    const access = await key.authenticate(this.#options.access);
    const action = this.#actionOf(parameters);
    if (action.changes && request.method !== "POST") {
      reply.header("allow", "POST, OPTIONS");
      throw new Refusal("method_not_allowed");
    }
    try {
      const answer = await action.run({ access, parameters, reply });
      await this.#options.turn.over();
      return answer;
    } catch (error) {
      throw key.wording(error);
    }
  }

  #actionOf(parameters: Parameters): Action {
    const name = parameters.text("action") ?? "getmails";
    const action = this.#actions.get(name);
    if (action === undefined) throw new Refusal("unknown_action");
    const type = parameters.text("type");
    if (name === "getmails" && type !== undefined && type !== "getmails") throw new Refusal("unknown_type");
    return action;
  }

  async #list({ access, parameters, reply }: Call): Promise<Buffer> {
    const addresses = addressesOf(parameters);
    const limit = parameters.integer("limit", { min: 1 }) ?? defaultPageMails;
    const since = parameters.integer("since");
    const before = parameters.integer("before");
    const dmarc = parameters.choice("dmarc", dmarcResults);
    const waitMs = parameters.secondsAsMs("wait") ?? 0;
    this.#options.unread.admit(access.userId);
    const list = (signal: AbortSignal): Promise<MailRecord[]> =>
      this.#options.reader.list({ access, addresses, limit, since, before, dmarc, waitMs, signal });
    const page = await (waitMs > 0 ? this.#wait(reply, list) : list(this.#never));
    const answer = this.#texts.of(page);
    this.#options.unread.hold(access.userId, answer.byteLength, reply.raw);
    reply.header("content-type", "application/json; charset=utf-8");
    return answer;
  }

  /** Runs a list whose signal is aborted when the client leaves or the server stops; the latter is `unavailable` if nothing came. */
  async #wait(reply: FastifyReply, list: (signal: AbortSignal) => Promise<MailRecord[]>): Promise<MailRecord[]> {
    const wait = new AbortController();
    const leave = (): void => wait.abort();
    if (this.#closing || reply.raw.destroyed) leave();
    reply.raw.once("close", leave);
    this.#waits.add(wait);
    try {
      const page = await list(wait.signal);
      if (page.length === 0 && this.#closing) throw new Refusal("unavailable");
      return page;
    } finally {
      this.#waits.delete(wait);
      reply.raw.off("close", leave);
    }
  }

  async #listMailboxes({ access }: Call): Promise<SeedMailboxes> {
    const mailboxes = await this.#options.mailboxes.list(access);
    return { success: true, address: mailboxes.map(({ address }) => address).join(",") };
  }

  async #createTemp({ access, parameters }: Call): Promise<SeedTempMailbox> {
    const name = parameters.text("name");
    const domain = parameters.text("domain");
    const ttl = parameters.integer("ttl", { max: maxTtlSeconds });
    const mailbox = await this.#options.mailboxes.createTemp(access, {
      ...(name === undefined ? {} : { name }),
      ...(domain === undefined ? {} : { domain }),
      ...(ttl === undefined ? {} : { ttlMs: ttl * 1000 }),
    });
    return { success: true, mail: mailbox.address };
  }

  async #deleteTemp({ access, parameters }: Call): Promise<SeedDeleted> {
    const [address, ...more] = addressesOf(parameters);
    if (address === undefined || more.length > 0) {
      throw new Refusal("invalid_parameter", { detail: "mail names more than one address" });
    }
    await this.#options.mailboxes.deleteTemp(access, address);
    return { success: true, message: "Temp mailbox deleted" };
  }
}

/** The addresses of `mail`, of which the call needs at least one. */
function addressesOf(parameters: Parameters): string[] {
  const addresses = splitAddresses(parameters.mail);
  if (addresses.length === 0) throw new Refusal("missing_mail");
  return addresses;
}
