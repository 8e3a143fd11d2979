import type { NewMail, NewMailRecipient, ReadContent } from "../store.ts";
import type { Connection } from "./connection.ts";
import { placeInRaw } from "./content-in-raw.ts";
import { listMail, settleNewMails } from "./mailbox-parts.ts";
import { insertRaw } from "./raw-bytes.ts";
import { noteRawFile } from "./raw-file-changes.ts";
import type { PlacedMail, RawPlace } from "./raw-file.ts";

/** Ids in the order of a mail's recipients, of one recipient the id alone; 0 where the mailbox is gone. All 0: nothing was stored. */
type GivenIds = number | number[];

interface LiveMailbox {
  address: string;
  expires_at: number | null;
}

/**
 * Stores mails, in order, inside the writer's transaction. Those with a place have theirs in one file. The number of a user's next
 * mail comes from the user's own row, under the write lock and in the same transaction, so that ids become visible in increasing order.
 */
export function insertMails(connection: Connection, mails: readonly PlacedMail[]): GivenIds[] {
  const mailboxes = new MailboxCheck(connection);
  const plans = mails.map(({ mail, place }) => {
    return { mail, place: place ?? null, live: mail.recipients.map((entry) => mailboxes.find(entry, mail)) };
  });
  const next = takeIds(connection, plans);
  const file = mails.find(({ place }) => place !== undefined)?.place?.file;
  if (file !== undefined) noteRawFile(connection, file);
  const ids = plans.map((plan) => insertMail(connection, plan, next));
  settleNewMails(connection);
  return ids;
}

interface MailPlan {
  mail: NewMail;
  place: RawPlace | null;
  /** `null` where the recipient is gone. */
  live: (LiveMailbox | null)[];
}

/** Looks each mailbox up once per run of mails: no other change can come between them. */
class MailboxCheck {
  readonly #connection: Connection;
  readonly #known = new Map<number, (LiveMailbox & { user_id: number }) | undefined>();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  find(recipient: NewMailRecipient, mail: NewMail): LiveMailbox | null {
    const id = recipient.mailboxId;
    if (!this.#known.has(id)) {
      const sql = "SELECT user_id, address, expires_at FROM alias WHERE id = ? AND deleted_at IS NULL";
      this.#known.set(id, this.#connection.get(sql, id));
    }
    const row = this.#known.get(id);
    if (row === undefined || row.user_id !== recipient.userId) return null;
    return row.expires_at !== null && row.expires_at <= mail.receivedAtMs ? null : row;
  }
}

/** Takes the ids of all mails at once, one update per user; answers the first of each. */
function takeIds(connection: Connection, plans: readonly MailPlan[]): Map<number, number> {
  const shares = new Map<number, { mails: number; bytes: number }>();
  for (const { mail, live } of plans) {
    mail.recipients.forEach(({ userId }, index) => {
      if (live[index] === null) return;
      const share = shares.get(userId) ?? { mails: 0, bytes: 0 };
      shares.set(userId, { mails: share.mails + 1, bytes: share.bytes + mail.raw.length });
    });
  }
  const next = new Map<number, number>();
  for (const [userId, { mails, bytes }] of shares) {
    const row = connection.get<{ last_mail_id: number }>(
      `UPDATE user SET last_mail_id = last_mail_id + ?1, mail_count = mail_count + ?1, used_bytes = used_bytes + ?2
       WHERE id = ?3 RETURNING last_mail_id`,
      mails,
      bytes,
      userId,
    );
    if (row === undefined) throw new Error("a mailbox has no user");
    next.set(userId, row.last_mail_id - mails + 1);
  }
  return next;
}

function insertMail(connection: Connection, { mail, place, live }: MailPlan, next: Map<number, number>): GivenIds {
  const alive = live.filter((mailbox) => mailbox !== null).length;
  if (alive === 0) return live.length === 1 ? 0 : live.map(() => 0);
  const messageId = insertMessage(connection, { mail, place });
  if (alive > 1) connection.insert("INSERT INTO message_share (message_id, refs) VALUES (?, ?)", messageId, alive);
  const ids = mail.recipients.map(({ userId, mailboxId, mailTo }, index) => {
    const mailbox = live[index];
    if (mailbox === null || mailbox === undefined) return 0;
    const id = next.get(userId);
    if (id === undefined) throw new Error("a mail has no id");
    next.set(userId, id + 1);
    const otherAddress = mailTo === mailbox.address ? null : mailTo;
    connection.insert(
      `INSERT INTO mail (user_id, id, mailbox_id, message_id, mail_to, received_at, size) VALUES (?, ?, ?, ?, ?, ?, ?)`,
      userId,
      id,
      mailboxId,
      messageId,
      otherAddress,
      mail.receivedAtMs,
      mail.raw.length,
    );
    listMail(connection, userId, { mailboxId, mailTo: otherAddress, id });
    return id;
  });
  return ids.length === 1 ? (ids[0] ?? 0) : ids;
}

function insertMessage(connection: Connection, { mail, place }: Pick<MailPlan, "mail" | "place">): number {
  const content = placeInRaw(mail);
  const messageId = connection.insert(
    `INSERT INTO message (subject, mail_from, envelope_from, content, defects, client_ip, client_helo, transmission, raw,
     content_start, content_end, unparsed, raw_file, raw_at, raw_size) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    mail.subject,
    mail.mailFrom,
    mail.envelopeFrom,
    (content === null ? mail.content : null) ?? "",
    defectsText(mail.defects),
    mail.origin?.ip ?? null,
    mail.origin?.helo ?? null,
    mail.origin?.transmission ?? null,
    content === null || place !== null ? null : mail.raw,
    content === null ? null : content.start,
    content === null ? null : content.end,
    content === null && mail.content === null ? 1 : null,
    place === null ? null : place.file,
    place === null ? null : place.at,
    place === null ? null : mail.raw.length,
  );
  if (content === null && place === null) insertRaw(connection, messageId, mail.raw);
  return messageId;
}

/** Store.recordContents. */
export function recordContents(connection: Connection, contents: readonly ReadContent[]): void {
  for (const { userId, id, content, defects } of contents) {
    connection.change(
      `UPDATE message SET content = ?, defects = ?, unparsed = NULL
       WHERE id = (SELECT message_id FROM mail WHERE user_id = ? AND id = ?) AND unparsed = 1`,
      content,
      defectsText(defects),
      userId,
      id,
    );
  }
}

function defectsText(defects: readonly string[]): string {
  return defects.length === 0 ? "[]" : JSON.stringify(defects);
}
