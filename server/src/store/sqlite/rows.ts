import type {
  ApiKey,
  DmarcPolicy,
  Domain,
  IngestReach,
  Mailbox,
  RuleAction,
  RuleKind,
  SenderRule,
  User,
} from "../store.ts";
import type { Connection } from "./connection.ts";

/** Columns of `alias a` that make a {@link Mailbox}. */
export const mailboxColumns = "a.id, a.user_id, a.address, a.is_main, a.is_temp, a.expires_at, a.created_at";
/** Whether `alias a` receives and shows mail at a moment, which is the one value to bind. */
export const mailboxIsLive = "a.deleted_at IS NULL AND (a.expires_at IS NULL OR a.expires_at > ?)";

export interface MailboxRow {
  id: number;
  user_id: number;
  address: string;
  is_main: number;
  is_temp: number;
  expires_at: number | null;
  created_at: number;
}

/** The mailbox that a row with {@link mailboxColumns} says. */
export function mailboxOf(row: MailboxRow): Mailbox {
  return {
    id: row.id,
    userId: row.user_id,
    address: row.address,
    kind: row.is_main === 1 ? "main" : row.is_temp === 1 ? "temp" : "alias",
    expiresAtMs: row.expires_at,
    createdAtMs: row.created_at,
  };
}

/** Selects users that are not removed, with their main mailbox; ends where a condition may follow. */
export const selectUser = `SELECT u.id, a.address, a.id AS mailbox_id, u.used_bytes, u.mail_count, u.created_at
  FROM user u JOIN alias a ON a.user_id = u.id AND a.is_main = 1 WHERE u.removed_at IS NULL`;

export interface UserRow {
  id: number;
  address: string;
  mailbox_id: number;
  used_bytes: number;
  mail_count: number;
  created_at: number;
}

/** The user that a row of {@link selectUser} says. */
export function userOf(row: UserRow): User {
  return {
    id: row.id,
    address: row.address,
    mailboxId: row.mailbox_id,
    usedBytes: row.used_bytes,
    mailCount: row.mail_count,
    createdAtMs: row.created_at,
  };
}

/** Columns of `api_key k` that make an {@link ApiKey}, together with its mailboxes. */
export const keyColumns =
  "k.id, k.user_id, k.public_id, k.all_mailboxes, k.read_only, k.ingest, k.expires_at, k.revoked_at, k.created_at";

export interface KeyRow {
  id: number;
  user_id: number;
  public_id: string;
  all_mailboxes: number;
  read_only: number;
  ingest: IngestReach | null;
  expires_at: number | null;
  revoked_at: number | null;
  created_at: number;
}

/** The key with its scope, which a second statement reads. */
export function keyOf(connection: Connection, row: KeyRow): ApiKey {
  const scope = (): number[] =>
    connection
      .all<{ mailbox_id: number }>(
        "SELECT mailbox_id FROM api_key_mailbox WHERE key_id = ? ORDER BY mailbox_id",
        row.id,
      )
      .map((entry) => entry.mailbox_id);
  return {
    id: row.id,
    userId: row.user_id,
    publicId: row.public_id,
    mailboxIds: row.all_mailboxes === 1 ? null : scope(),
    readOnly: row.read_only === 1,
    ingest: row.ingest,
    expiresAtMs: row.expires_at,
    revokedAtMs: row.revoked_at,
    createdAtMs: row.created_at,
  };
}

/** Columns of `domain` that make a {@link Domain}. */
export const domainColumns = "id, name, catch_all_id, allows_temp, dmarc, created_at";

export interface DomainRow {
  id: number;
  name: string;
  catch_all_id: number | null;
  allows_temp: number;
  dmarc: DmarcPolicy;
  created_at: number;
}

/** The domain that a row with {@link domainColumns} says. */
export function domainOf(row: DomainRow): Domain {
  return {
    id: row.id,
    name: row.name,
    catchAllMailboxId: row.catch_all_id,
    allowsTemp: row.allows_temp === 1,
    dmarc: row.dmarc,
    createdAtMs: row.created_at,
  };
}

/** Columns of `sender_rule` that make a {@link SenderRule}. */
export const ruleColumns = "id, action, kind, value, created_at";

export interface RuleRow {
  id: number;
  action: RuleAction;
  kind: RuleKind;
  value: string;
  created_at: number;
}

/** The rule that a row with {@link ruleColumns} says. */
export function ruleOf({ created_at, ...row }: RuleRow): SenderRule {
  return { ...row, createdAtMs: created_at };
}
