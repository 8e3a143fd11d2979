import type { IncomingMessage } from "node:http";
import type { IngestAnswer, IngestRecipient } from "@catmails/client";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { parseAddress } from "../../address.ts";
import { errorTable, isRefusal, Refusal, type ErrorName } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type { AccessControl } from "../../mail/access.ts";
import { takeHandedMail, type IngestReceiver, type RecipientOutcome } from "../../mail/ingest.ts";
import { withCrlf } from "../../mail/line-ends.ts";
import type { Metrics } from "../../metrics.ts";
import { answerFor } from "../envelope.ts";
import { Parameters } from "../parameters.ts";
import { PresentedKey } from "../presented-key.ts";
import type { Adapter, PostAccess, PostedMail } from "./adapter.ts";
import { adaptersFor, type AdapterSettings } from "./adapters.ts";
import { dropRest, longestArrivalMs, PostBudget, PostedBody } from "./posted-body.ts";
import { isTemporary, RecipientsRefused } from "./recipients-refused.ts";
import type { OpenPost } from "./seen-posts.ts";

/** What is taken in over HTTP, from whom and how much of it. */
export interface IngestSettings extends AdapterSettings {
  receiver: IngestReceiver;
  /** Memory for posts with a key, and as much again for those that a signature has to prove first. */
  maxBufferedBytes: number;
  /** Time that a post of no size may take. */
  graceMs: number;
}

/** What the ingest routes stand on. */
export interface IngestApiOptions {
  ingest: IngestSettings;
  access: AccessControl;
  log: Logger;
  metrics: Metrics;
}

/** One post on its way through. */
interface Passage {
  adapter: Adapter;
  access: PostAccess;
  request: FastifyRequest;
}

const retryAfterSeconds = 30;
/** More than any provider puts into one post. */
const maxRecipients = 1000;

/** Refusals that no other try will change: a provider should give the mail up. */
const finalNames: ReadonlySet<ErrorName> = new Set<ErrorName>([
  "unknown_mailbox",
  "foreign_domain",
  "sender_blocked",
  "mail_too_large",
  "mail_never_fits",
  "mail_looping",
  "post_replayed",
]);

/** `POST /v1/ingest` and what mail providers post, all ending in the one function that takes mail in. */
export class IngestApi {
  readonly #options: IngestApiOptions;
  readonly #adapters: readonly Adapter[];
  /** Apart, so that posts which nobody has vouched for yet cannot keep the others out. */
  readonly #budgets: Readonly<Record<Adapter["proof"], PostBudget>>;
  readonly #working = new Set<Promise<unknown>>();
  #closing = false;

  constructor(options: IngestApiOptions) {
    const { maxBufferedBytes } = options.ingest;
    this.#options = options;
    this.#adapters = adaptersFor(options.ingest, options.log);
    this.#budgets = { key: new PostBudget(maxBufferedBytes), signature: new PostBudget(maxBufferedBytes) };
  }

  /** Longest time that any post may take to arrive. */
  get longestArrivalMs(): number {
    const largest = Math.max(...this.#adapters.map(({ maxBodyBytes }) => maxBodyBytes));
    return longestArrivalMs(this.#options.ingest.graceMs, largest);
  }

  /** Whether this request is a post of mail, whose body is read here and has its own limits. */
  takes({ method, url = "" }: Pick<IncomingMessage, "method" | "url">): boolean {
    const path = url.split("?", 1)[0]?.replace(/\/$/, "");
    return method === "POST" && this.#adapters.some((adapter) => adapter.path === path);
  }

  /** Adds the routes. Bodies are read by whoever answers, because keys are asked for first. */
  serve(app: FastifyInstance): void {
    app.register((routes, _options, done) => {
      routes.removeAllContentTypeParsers();
      routes.addContentTypeParser("*", (_request, _body, parsed) => parsed(null));
      for (const adapter of this.#adapters) {
        routes.post(adapter.path, (request, reply) => this.#answer(adapter, request, reply));
        routes.route({
          method: ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"],
          url: adapter.path,
          handler: (_request, reply) => {
            reply.header("allow", "POST");
            throw new Refusal("method_not_allowed");
          },
        });
      }
      done();
    });
  }

  /** Takes no more posts; resolves when those that are here have been stored or refused, or time is up. */
  async drain(timeoutMs: number): Promise<void> {
    this.#closing = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    await Promise.race([Promise.allSettled(this.#working), promise]);
    clearTimeout(timer);
  }

  async #answer(adapter: Adapter, request: FastifyRequest, reply: FastifyReply): Promise<object> {
    reply.header("cache-control", "no-store");
    try {
      const body = await this.#work(adapter, request);
      this.#options.metrics.ingestPosts.inc({ adapter: adapter.name, outcome: "taken" });
      return body;
    } catch (error) {
      dropRest(request.raw, this.#options.ingest.graceMs);
      return this.#refuse(adapter, reply, error);
    }
  }

  async #work(adapter: Adapter, request: FastifyRequest): Promise<object> {
    const { headers, url = "" } = request.raw;
    const query = Parameters.ofTarget(url);
    this.#refuseWhileClosing();
    const access = await this.#accessOf(adapter, headers.authorization, query);
    const coding = headers["content-encoding"];
    if (coding !== undefined && coding !== "identity") throw new Refusal("unsupported_body");
    using body = await PostedBody.read(request.raw, {
      budget: this.#budgets[adapter.proof],
      maxBytes: adapter.maxBodyBytes,
      costPerByte: adapter.costPerByte,
      graceMs: this.#options.ingest.graceMs,
    });
    this.#refuseWhileClosing();
    const passage = { adapter, access, request };
    const answer = adapter.answer({ headers, query, body: body.bytes }, (mail, post) =>
      this.#take(passage, mail, post),
    );
    this.#working.add(answer);
    try {
      return await answer;
    } finally {
      this.#working.delete(answer);
    }
  }

  #refuseWhileClosing(): void {
    if (this.#closing) throw new Refusal("unavailable", { retryAfterSeconds });
  }

  async #accessOf(adapter: Adapter, authorization: string | undefined, query: Parameters): Promise<PostAccess> {
    if (adapter.proof === "signature") return null;
    return await PresentedKey.forIngest(authorization, query).authenticateIngest(this.#options.access);
  }

  /** Stores a mail for those who may have it. Throws {@link RecipientsRefused} when nobody may, or somebody only later. */
  async #take({ adapter, access, request }: Passage, posted: PostedMail, post: OpenPost | null): Promise<IngestAnswer> {
    const { ingest, log } = this.#options;
    const raw = this.#rawOf(posted);
    const to = posted.to.map((text) => parseAddress(bareAddress(text))?.text ?? bareAddress(text));
    const from = parseAddress(bareAddress(posted.from))?.text ?? "";
    const bytes = raw.byteLength;
    const { receipt, outcomes } = await takeHandedMail(ingest.receiver, {
      access,
      from,
      // Those who got it when it came before do not get it again.
      to: to.filter((address) => post?.stored.has(address) !== true),
      raw,
      origin: { ip: request.ip, helo: "", transmission: request.protocol === "https" ? "HTTPS" : "HTTP" },
    });
    const stored = outcomes.flatMap(({ address, refusal }) => (refusal === null ? [address] : []));
    if (receipt !== null) {
      post?.keep(stored);
      const facts = { receipt, from, recipients: stored.length, refused: outcomes.length - stored.length, bytes };
      log.info({ ...facts, adapter: adapter.name, key: access?.publicId, remote: request.ip }, "Mail stored");
    }
    const needsAnotherTry = outcomes.some(({ refusal }) => refusal !== null && isTemporary(refusal));
    const isRefused = receipt === null && stored.length < outcomes.length;
    if (isRefused || (needsAnotherTry && post !== null)) throw new RecipientsRefused(outcomes);
    post?.finish();
    return { success: true, receipt, recipients: outcomes.map(shown) };
  }

  #rawOf({ raw, to }: PostedMail): Buffer<ArrayBuffer> {
    const { maxMessageBytes } = this.#options.ingest;
    if (raw.byteLength === 0) throw new Refusal("raw_missing");
    if (to.length === 0 || to.length > maxRecipients) {
      throw new Refusal("invalid_parameter", {
        detail: `the post names none or more than ${maxRecipients} recipients`,
      });
    }
    const whole = withCrlf(raw);
    if (whole.byteLength > maxMessageBytes) throw new Refusal("mail_too_large");
    return whole;
  }

  #refuse(adapter: Adapter, reply: FastifyReply, error: unknown): object {
    const { log, metrics } = this.#options;
    const { status, body, retryAfterSeconds: seconds } = answerFor(error, log);
    const isFinal = isRefusal(error) && finalNames.has(error.errorName);
    metrics.ingestPosts.inc({ adapter: adapter.name, outcome: status < 500 ? "refused" : "failed" });
    const recipients = error instanceof RecipientsRefused ? error.outcomes : [];
    log.info({ adapter: adapter.name, code: body.code, recipients: recipients.length }, "Post refused");
    if (seconds !== undefined) reply.header("retry-after", seconds);
    // The rest of a post that comes too slowly is not waited for.
    if (body.code === "request_timeout") reply.header("connection", "close");
    reply.code(isFinal ? (adapter.finalStatus ?? status) : status);
    return recipients.length === 0 ? body : { ...body, recipients: recipients.map(shown) };
  }
}

/** An address as it stands in an envelope, with or without its angle brackets. */
function bareAddress(text: string): string {
  const trimmed = text.trim();
  return trimmed.startsWith("<") && trimmed.endsWith(">") ? trimmed.slice(1, -1) : trimmed;
}

function shown({ address, refusal }: RecipientOutcome): IngestRecipient {
  if (refusal === null) return { mail: address, stored: true };
  const { code, text } = errorTable[refusal];
  return { mail: address, stored: false, code, error: text, temporary: isTemporary(refusal) };
}
