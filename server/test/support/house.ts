import { timeFormatter } from "../../src/clock.ts";
import { HttpServer, type HttpOptions, type HttpsOptions } from "../../src/http/server.ts";
import { createLog } from "../../src/log.ts";
import { AccessControl } from "../../src/mail/access.ts";
import { Receiver, type ReceiverOptions } from "../../src/mail/receive.ts";
import { Contents } from "../../src/mail/contents.ts";
import { Feed } from "../../src/mail/feed.ts";
import { makeKey, storeKey, type KeyGrant } from "../../src/mail/keys.ts";
import { Mailboxes } from "../../src/mail/mailboxes.ts";
import { Reader } from "../../src/mail/reading.ts";
import { SenderPolicies } from "../../src/mail/sender-policy.ts";
import { SenderResults } from "../../src/mail/sender-results.ts";
import { addUser } from "../../src/mail/setup.ts";
import { MailParser } from "../../src/mime/mime.ts";
import { Metrics } from "../../src/metrics.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import type { Mailbox, Store } from "../../src/store/store.ts";
import { newMailbox } from "./new-mailbox.ts";
import { TemporaryDirectory } from "./temporary-directory.ts";

export const domain = "mails.test";
export const tempDomain = "temp.mails.test";

/** A user of the house with its main mailbox and a key that may do everything. */
export interface Person {
  userId: number;
  address: string;
  mailboxId: number;
  key: string;
}

/** A mail to put straight into the store. */
export interface Put {
  from?: string;
  subject?: string;
  content?: string;
  receivedAtMs?: number;
}

export interface HouseOptions {
  socket?: Partial<HttpOptions["socket"]>;
  maxBodyBytes?: number;
  maxFollowersPerUser?: number;
  tempMaxMailboxes?: number;
  isReady?: HttpOptions["isReady"];
  /** Puts something between the rooms and the store, to see what a fault in it would do. */
  wrapStore?: (store: Store) => Store;
  formatTime?: HttpOptions["formatTime"];
  ingest?: Partial<HttpOptions["ingest"]>;
  quotaBytes?: number;
  https?: Pick<HttpsOptions, "encryption" | "isStrict">;
}

/** A real store in a directory of its own, the rooms above it, and the HTTP door on a free port. */
export class House implements AsyncDisposable {
  readonly store: Store;
  readonly feed: Feed;
  readonly results: SenderResults;
  readonly metrics: Metrics;
  readonly http: HttpServer;
  /** Every line that was logged, at all levels. */
  readonly lines: string[];
  readonly receiver: Receiver;
  readonly #parts: AsyncDisposableStack;

  static async open(options: HouseOptions = {}): Promise<House> {
    await using parts = new AsyncDisposableStack();
    const dataDir = parts.use(new TemporaryDirectory()).path;
    const lines: string[] = [];
    const log = createLog({ level: "trace", format: "json", write: (line) => void lines.push(line) });
    const engine = parts.use(await openSqliteStore({ dataDir, log }));
    const store = options.wrapStore?.(engine) ?? engine;
    for (const [name, allowsTemp] of [
      [domain, false],
      [tempDomain, true],
    ] as const) {
      await store.createDomain({ name, allowsTemp, nowMs: Date.now() });
    }
    const metrics = new Metrics();
    const maxFollowersPerUser = options.maxFollowersPerUser ?? 1000;
    const parser = parts.use(new MailParser({}));
    const contents = parts.use(new Contents({ store, parser }));
    const feed = parts.use(new Feed({ store, contents, log, metrics, maxFollowers: 10_000, maxFollowersPerUser }));
    const policies = parts.use(await SenderPolicies.open(store, log));
    // Results are put into it by tests; nothing is ever checked here.
    const desk = { check: () => null };
    const results = parts.use(new SenderResults({ store, desk, policies, log, metrics, checks: "off" }));
    const receiver = new Receiver({
      store,
      feed,
      parser,
      metrics,
      domain,
      quotaBytes: options.quotaBytes ?? 0,
      maxReceived: 100,
    } satisfies ReceiverOptions);
    const http = parts.use(
      await HttpServer.listen({
        host: "127.0.0.1",
        port: 0,
        maxBodyBytes: options.maxBodyBytes ?? 64 * 1024,
        access: new AccessControl(store),
        reader: new Reader({ store, contents, feed, results }),
        mailboxes: mailboxesOf(store, feed, options.tempMaxMailboxes ?? 0),
        feed,
        formatTime: options.formatTime ?? timeFormatter("UTC"),
        log,
        metrics,
        isReady: options.isReady ?? (() => true),
        socket: {
          maxBufferedBytes: 256 * 1024,
          stallTimeoutMs: 30_000,
          pingIntervalMs: 25_000,
          deadTimeoutMs: 60_000,
          ...options.socket,
        },
        ingest: { ...ingestSettings(receiver), ...options.ingest },
        ...(options.https === undefined ? {} : { https: { host: "127.0.0.1", port: 0, ...options.https } }),
      }),
    );
    return new House({ store, feed, results, metrics, http, lines, receiver, parts: parts.move() });
  }

  private constructor(
    made: Pick<House, "store" | "feed" | "results" | "metrics" | "http" | "lines" | "receiver"> & {
      parts: AsyncDisposableStack;
    },
  ) {
    this.store = made.store;
    this.feed = made.feed;
    this.results = made.results;
    this.metrics = made.metrics;
    this.http = made.http;
    this.lines = made.lines;
    this.receiver = made.receiver;
    this.#parts = made.parts;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.http.address.port}`;
  }

  get secureOrigin(): string {
    return `https://127.0.0.1:${this.http.secureAddress?.port ?? 0}`;
  }

  async addPerson(name: string): Promise<Person> {
    const { user, key } = await addUser(this.store, { address: `${name}@${domain}`, nowMs: Date.now() });
    return { userId: user.id, address: user.address, mailboxId: user.mailboxId, key };
  }

  addAlias(person: Person, address: string): Promise<Mailbox> {
    return this.store.createMailbox(newMailbox({ userId: person.userId, address }));
  }

  /** Makes another key for a person; answers it with its public id. */
  async addKey(person: Person, grant: Omit<KeyGrant, "userId"> = {}): Promise<{ key: string; publicId: string }> {
    const made = makeKey();
    await storeKey(this.store, made, { userId: person.userId, nowMs: Date.now(), ...grant });
    return { key: made.text, publicId: made.publicId };
  }

  async revoke(key: string): Promise<void> {
    const publicId = key.slice(3, 11);
    if (!(await this.store.revokeKey({ publicId, nowMs: Date.now() }))) throw new Error("no such key");
  }

  /** Stores a mail for one mailbox and tells the feed, as receiving does. Answers its id. */
  async put(to: { userId: number; mailboxId: number; address: string } | Mailbox, mail: Put = {}): Promise<number> {
    const mailboxId = "mailboxId" in to ? to.mailboxId : to.id;
    const fields = {
      mailFrom: mail.from ?? "sender@example.com",
      subject: mail.subject ?? "A subject",
      content: mail.content ?? "Some text",
      receivedAtMs: mail.receivedAtMs ?? Date.now(),
    };
    const { delivered } = await this.store.commit({
      ...fields,
      raw: new Uint8Array([13, 10]),
      envelopeFrom: fields.mailFrom,
      defects: [],
      origin: null,
      recipients: [{ userId: to.userId, mailboxId, mailTo: to.address }],
    });
    const [one] = delivered;
    if (one === undefined) throw new Error("the mailbox is gone");
    this.feed.announce(one.userId, { id: one.id, mailboxId, mailTo: one.mailTo, ...fields });
    return one.id;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.disposeAsync();
  }
}

function ingestSettings(receiver: Receiver): HttpOptions["ingest"] {
  return {
    receiver,
    maxMessageBytes: 256 * 1024,
    maxRecipients: 100,
    maxBufferedBytes: 64 * 1024 * 1024,
    graceMs: 30_000,
    mailgunSigningKey: null,
    sendgridPublicKey: null,
    sesTopics: [],
    sesCertificateDirectory: null,
    fetchCertificate: () => Promise.reject(new Error("nothing is fetched here")),
  };
}

function mailboxesOf(store: Store, feed: Feed, tempMaxMailboxes: number): Mailboxes {
  const day = 86_400_000;
  const times = { tempTtlMs: day, tempMaxTtlMs: 7 * day, nameReservedMs: 30 * day };
  return new Mailboxes({ store, feed, tempDomain, tempMaxMailboxes, ...times });
}
