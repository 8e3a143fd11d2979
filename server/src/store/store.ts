import type { CommittedMail, ListedMail, MailDetails, NewMail, ReadContent, StoredMail } from "./mail-records.ts";
import type {
  DmarcPolicy,
  NewSenderRule,
  RuleAction,
  SenderPolicy,
  SenderRecord,
  SenderRule,
} from "./sender-records.ts";

// Other rooms see one face.
export { maxUnparsedBytes } from "./mail-records.ts";
export type {
  CommittedMail,
  ContentPlace,
  ListedMail,
  MailDetails,
  MailRecord,
  NewMail,
  NewMailRecipient,
  ReadContent,
  StoredMail,
} from "./mail-records.ts";
export { maxSenderRules } from "./sender-records.ts";
export type {
  DmarcPolicy,
  NewSenderRule,
  RuleAction,
  RuleKind,
  SenderPolicy,
  SenderRecord,
  SenderRule,
} from "./sender-records.ts";

/**
 * The store contract. Every engine keeps it, and one suite (`server/test/support/store-suite.ts`) proves it for each.
 *
 * Rules that hold for every call:
 * - A promise that resolves for a change means that the change is durable (synced) and visible to every later read.
 * - A promise that rejects (`Refusal`; `store_failed` for a fault of the disk) changed nothing that anybody was told of.
 * - Whose data it is stands in the statement: calls that take a `userId` never touch another user's rows, and something
 *   foreign is answered exactly as something absent.
 * - Mailboxes that are deleted or past `expiresAtMs`, and their mails, are invisible from that moment on, whether or
 *   not they have been purged yet.
 * - Cost does not grow with the number of stored mails.
 *
 * Times are milliseconds since the Unix epoch. Addresses are canonical text (`address.ts`).
 */
export interface Store extends AsyncDisposable {
  /** Queues one mail for the next group commit. Resolves after the sync that made all its recipients durable. */
  commit(mail: NewMail): Promise<CommittedMail>;
  /** Begins now with what was queued in this turn of the event loop, and not at its end. For callers who go on to something slow. */
  beginCommit(): void;
  /** What queued work costs right now, for back-pressure: mails and raw bytes handed to `commit` and not settled yet. */
  pending(): { mails: number; bytes: number };

  /**
   * Where mail for an address goes. One indexed lookup each for the mailbox, the catch-all and the domain. A catch-all
   * gets nothing for an address that another user gave up or let expire, as long as it is reserved. Answers at once if it can.
   * What another process changed may be seen 10 ms later; a mail to a mailbox that is gone finds that out at its commit.
   */
  route(address: RouteAddress, nowMs: number): Route | Promise<Route>;
  /** Raw bytes that a user has stored; 0 for an unknown one. */
  usedBytes(userId: number): number | Promise<number>;
  /** The API key with this SHA-256, with its user; `null` when there is none or it is revoked or expired. Answers at once if it can. */
  findKey(hash: Uint8Array, nowMs: number): ApiKey | null | Promise<ApiKey | null>;

  /** Mails of one user, ordered by id; see {@link MailQuery}. Answers at once if it can. */
  listMails(query: MailQuery): ListedMail[] | Promise<ListedMail[]>;
  /** One mail with its raw bytes; `null` when absent, foreign, or outside `mailboxIds`. */
  readMail(key: {
    userId: number;
    id: number;
    mailboxIds: readonly number[] | null;
    nowMs: number;
  }): Promise<StoredMail | null>;
  /** One mail without its raw bytes, with what was found out about its sender; `null` as for {@link readMail}. */
  describeMail(key: Parameters<Store["readMail"]>[0]): Promise<MailDetails | null>;
  /**
   * Keeps the content of mails that were committed without it, for all their recipients. Mails that are gone are left out, and
   * those whose content is known already.
   */
  recordContents(contents: readonly ReadContent[]): Promise<void>;
  /**
   * Keeps what was found out about the senders of mails, once they are committed; a second result replaces the first.
   * Mails that are gone are left out. It goes when the mail goes.
   */
  recordSenders(results: readonly SenderRecord[]): Promise<void>;
  /** The last mail id given out, per user; users without mail answer 0. Unknown users are left out. */
  lastMailIds(userIds: readonly number[]): Promise<Map<number, number>>;
  /**
   * Users whose keys or mailboxes changed after a revision, in whichever process, and the revision to ask with next
   * time (0: from the beginning). Costs one look-up when nothing changed.
   */
  changedUsers(sinceRevision: number): Promise<{ revision: number; userIds: number[] }>;
  /** Calls back within 500 ms after another process has changed the store: its mails were not announced here. */
  onForeignChange(listener: () => void): Disposable;

  /** Makes a user with its main mailbox. Throws `address_taken`, `address_reserved`, `domain_unknown`. */
  createUser(input: { address: string; nowMs: number }): Promise<User>;
  /** The user whose main mailbox has exactly this address; `null` when there is none. */
  findUser(address: string): Promise<User | null>;
  /** All users in id order, at most `limit` after `afterId`. */
  listUsers(page: Page): Promise<User[]>;
  /**
   * Revokes the user's keys and deletes its mailboxes, whose chosen names stay reserved for `reserveMs`; mails go by
   * {@link purge}. False when there is no such user.
   */
  removeUser(input: RemoveUser): Promise<boolean>;

  /**
   * Stores a key. Throws `key_taken` when the hash exists, also of a revoked key, `not_found` for an unknown user and
   * `mailbox_scope_invalid` for a mailbox that is not the user's.
   */
  createKey(input: NewApiKey): Promise<ApiKey>;
  /** Keys in id order, those that are revoked or expired included; of one user when `userId` is given. */
  listKeys(page: Page & { userId?: number }): Promise<ApiKey[]>;
  /** Revokes by public id; false when no active key has it. */
  revokeKey(input: { publicId: string; nowMs: number }): Promise<boolean>;

  /**
   * Makes a mailbox. Throws `address_taken`, `address_reserved`, `domain_unknown`, `too_many_mailboxes`, and `not_found`
   * for an unknown user or key.
   */
  createMailbox(input: NewMailbox): Promise<Mailbox>;
  /** The live mailbox with exactly this address, whoever owns it. */
  findMailbox(address: string, nowMs: number): Promise<Mailbox | null>;
  /** Live mailboxes in id order; of one user when `userId` is given; only these ids when `ids` is given. */
  listMailboxes(page: Page & { userId?: number; ids?: readonly number[]; nowMs: number }): Promise<Mailbox[]>;
  /**
   * Deletes a live mailbox of this user and reserves its address. Mails are invisible at once and go
   * by {@link purge}. False when it is absent, foreign, not of one of `kinds`, or outside `mailboxIds`; a main mailbox
   * goes only with its user.
   */
  deleteMailbox(input: DeleteMailbox): Promise<boolean>;

  /** Serves a domain. Throws `domain_taken`. */
  createDomain(input: NewDomain): Promise<Domain>;
  /** All domains in id order. */
  listDomains(page: Page): Promise<Domain[]>;
  /** Sets what is given. False when there is no such domain; throws `not_found` for a mailbox that is not there. */
  updateDomain(input: DomainChange): Promise<boolean>;
  /** False when there is no such domain; throws `domain_in_use` while live mailboxes are in it. */
  removeDomain(input: { name: string; nowMs: number }): Promise<boolean>;

  /** Adds to the list of allowed or of blocked senders. Throws `rule_taken`, and `too_many_rules` beyond {@link maxSenderRules}. */
  addSenderRule(input: NewSenderRule): Promise<SenderRule>;
  /** False when this value is not on this list. */
  removeSenderRule(input: { action: RuleAction; value: string }): Promise<boolean>;
  /** Rules in id order; of one list when `action` is given. */
  listSenderRules(page: Page & { action?: RuleAction }): Promise<SenderRule[]>;
  /** All that senders are judged by, where any of it changed after a revision (0: ever), in whichever process; else `null`, for one look-up. */
  senderPolicy(sinceRevision: number): Promise<SenderPolicy | null>;

  /** Turns expired temp mailboxes into deleted ones, at most `limit`; answers how many. */
  expireMailboxes(input: { nowMs: number; reserveMs: number; limit: number }): Promise<number>;
  /**
   * Deletes up to `limit` mails of deleted mailboxes and forgets mailboxes that are empty; answers how many rows went.
   * Big mails make it stop earlier: only 0 says that nothing is left.
   */
  purge(input: { nowMs: number; limit: number }): Promise<number>;
  /**
   * Deletes up to `limit` of one user's oldest mails: those received before `beforeMs`, and those beyond the newest
   * `maxCount` (0: no such rule), which waits while the user's deleted mailboxes are not purged. Answers how many went.
   * Big mails make it stop earlier: only 0 says that nothing is left.
   */
  trimMails(input: { userId: number; beforeMs: number; maxCount: number; limit: number }): Promise<number>;
  /** One short step towards giving back to the disk what deleted mails took; to be called every second or so. */
  reclaim(nowMs: number): Promise<void>;

  /** Writes a consistent copy to a file or location that must not exist yet, while mail goes on coming in. */
  backup(target: string): Promise<void>;
  /** Bytes that new mail can use before the store takes more of its disk. Costs one look-up. */
  reusableBytes(): Promise<number>;
  /** Engine name, schema version and what a doctor should know; throws when the store cannot serve. */
  check(): Promise<StoreHealth>;
}

export interface Page {
  /** Rows with a greater id only. 0 starts at the beginning. */
  afterId: number;
  /** At most this many rows. */
  limit: number;
}

export interface RouteAddress {
  /** Canonical address as given. */
  text: string;
  /** Canonical address without its tag. */
  base: string;
  domain: string;
}

export type Route =
  | { kind: "mailbox"; mailbox: Mailbox; via: "address" | "tag" | "catch-all" }
  | { kind: "unknown_mailbox" }
  | { kind: "foreign_domain" };

export interface MailFilter {
  mailboxId: number;
  /** Only mails delivered to exactly this address (a tag, or one address of a catch-all); `null`: all of the mailbox. */
  mailTo: string | null;
}

export interface MailQuery {
  userId: number;
  /** `null`: every mailbox of the user. An empty list matches nothing. Overlapping filters give each mail once. */
  filters: readonly MailFilter[] | null;
  /** Greater ids only. */
  afterId?: number | undefined;
  /** Smaller ids only. */
  beforeId?: number | undefined;
  /** Only mails whose recorded result this is ({@link SenderRecord.dmarc}); those without a record match nothing. */
  dmarc?: string | undefined;
  order: "oldest" | "newest";
  limit: number;
  /**
   * The page ends early once subjects and contents reach this many characters, for which the bytes of a mail count whose content is
   * not known; one mail is always given.
   */
  maxChars: number;
  nowMs: number;
}

export interface User {
  id: number;
  /** Address of the main mailbox. */
  address: string;
  mailboxId: number;
  usedBytes: number;
  mailCount: number;
  createdAtMs: number;
}

export interface RemoveUser {
  userId: number;
  nowMs: number;
  /** How long chosen names stay reserved; random names are reserved for ever. */
  reserveMs: number;
}

export type MailboxKind = "main" | "alias" | "temp";

export interface Mailbox {
  /** Row id of this incarnation; never given out again, also when the address is. */
  id: number;
  userId: number;
  address: string;
  kind: MailboxKind;
  /** `null`: never. */
  expiresAtMs: number | null;
  createdAtMs: number;
}

export interface NewMailbox {
  userId: number;
  address: string;
  kind: "alias" | "temp";
  nowMs: number;
  expiresAtMs: number | null;
  /** Random names stay reserved for ever once given up. */
  random: boolean;
  /** A key limited to some mailboxes gains the new one in its scope. */
  forKeyId: number | null;
  /** Live temp mailboxes a user may have; 0: no limit. */
  maxTemp: number;
  /** Take an address that is still reserved for somebody else (the operator's word only). */
  takeReserved: boolean;
}

export interface DeleteMailbox {
  userId: number;
  address: string;
  kinds: readonly MailboxKind[];
  mailboxIds: readonly number[] | null;
  nowMs: number;
  /** How long a chosen name stays reserved; random names are reserved for ever. */
  reserveMs: number;
}

/** Whose mailboxes an ingest key may hand mail to: its own user's, or everybody's. */
export type IngestReach = "own" | "every";

export interface ApiKey {
  id: number;
  userId: number;
  /** Shown in lists and logs; says nothing about the secret. */
  publicId: string;
  /** `null`: all mailboxes of the user, also later ones. */
  mailboxIds: readonly number[] | null;
  readOnly: boolean;
  /** `null`: reads, and manages unless `readOnly`. Otherwise it only hands in mail. */
  ingest: IngestReach | null;
  expiresAtMs: number | null;
  revokedAtMs: number | null;
  createdAtMs: number;
}

export interface NewApiKey {
  userId: number;
  publicId: string;
  /** SHA-256 of the whole key. */
  hash: Uint8Array;
  mailboxIds: readonly number[] | null;
  readOnly: boolean;
  ingest: IngestReach | null;
  expiresAtMs: number | null;
  nowMs: number;
}

export interface Domain {
  id: number;
  name: string;
  catchAllMailboxId: number | null;
  /** Temp mailboxes may be made here. */
  allowsTemp: boolean;
  dmarc: DmarcPolicy;
  createdAtMs: number;
}

export interface DomainChange {
  name: string;
  /** Left out: as it is. */
  catchAllMailboxId?: number | null;
  /** Left out: as it is. */
  dmarc?: DmarcPolicy;
}

export interface NewDomain {
  name: string;
  allowsTemp: boolean;
  /** Left out: `accept`. */
  dmarc?: DmarcPolicy;
  nowMs: number;
}

export interface StoreHealth {
  engine: string;
  schemaVersion: number;
  /** Facts for a person, in order. */
  facts: readonly { name: string; value: string }[];
}
