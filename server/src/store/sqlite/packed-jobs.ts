import type { Origin } from "../../origin.ts";
import type { NewMail, NewMailRecipient } from "../store.ts";
import { placeInRaw } from "./content-in-raw.ts";
import type { Job, MailJob, MailRow, PackedJobs } from "./writer-messages.ts";

/** Of a mail of this size on the buffer itself changes threads, where nothing else is in it; a copy would cost more. */
const ownBufferBytes = 65_536;

/** Values of a {@link MailRow} before its recipients. */
const recipientsAt = 12;

const nowhere = { start: 0, end: 0 };

/** `transfers` belongs to whoever receives the jobs: these buffers are to be given away with them. */
export function packJobs(jobs: readonly Job[]): { packed: PackedJobs; transfers: ArrayBuffer[] } {
  let total = 0;
  for (const job of jobs) if (job.kind === "mail" && !hasOwnBuffer(job.mail)) total += job.mail.raw.length;
  // Not zeroed: every byte of it is written.
  const bytes = new Uint8Array(Buffer.allocUnsafeSlow(total).buffer);
  const transfers = [bytes.buffer];
  let at = 0;
  const rows = jobs.map((job) => {
    if (job.kind === "call") return job;
    const { raw } = job.mail;
    if (hasOwnBuffer(job.mail)) {
      transfers.push(raw.buffer);
      return rowOf(job.mail, raw);
    }
    bytes.set(raw, at);
    at += raw.length;
    return rowOf(job.mail, raw.length);
  });
  return { packed: { rows, bytes }, transfers };
}

/** The jobs again. Their raw bytes are views of what crossed over, see {@link MailJob.ends}. */
export function unpackJobs({ rows, bytes }: PackedJobs): Job[] {
  const jobs: Job[] = [];
  let last: MailJob | null = null;
  let at = 0;
  for (const row of rows) {
    if (!isMailRow(row)) {
      jobs.push(row);
      continue;
    }
    const [raw] = row;
    if (typeof raw === "number") {
      last = { kind: "mail", mail: mailOf(row, bytes.subarray(at, at + raw)) };
      at += raw;
      jobs.push(last);
    } else jobs.push({ kind: "mail", mail: mailOf(row, raw), ends: raw });
  }
  if (last !== null) last.ends = bytes;
  return jobs;
}

function hasOwnBuffer({ raw }: NewMail): boolean {
  return raw.length >= ownBufferBytes && raw.length === raw.buffer.byteLength;
}

function isMailRow(row: PackedJobs["rows"][number]): row is MailRow {
  return Array.isArray(row);
}

function rowOf(mail: NewMail, raw: MailRow[0]): MailRow {
  const { envelopeFrom, mailFrom, subject, receivedAtMs, defects, origin, recipients } = mail;
  const place = placeInRaw(mail);
  const content = place === null ? mail.content : null;
  const { start, end } = place ?? nowhere;
  const { ip = null, helo = "", transmission = "" } = origin ?? {};
  const named = defects.length === 0 ? null : defects;
  const text = [envelopeFrom, mailFrom, subject, content, start, end] as const;
  const values = [raw, ...text, receivedAtMs, named, ip, helo, transmission] as const;
  const [only] = recipients;
  if (only !== undefined && recipients.length === 1) return [...values, only.userId, only.mailboxId, only.mailTo];
  return [...values, ...recipients.flatMap(({ userId, mailboxId, mailTo }) => [userId, mailboxId, mailTo])];
}

function mailOf(row: MailRow, raw: Uint8Array<ArrayBuffer>): NewMail {
  const [, envelopeFrom, mailFrom, subject, content, start, end, receivedAtMs, defects, ip, helo, transmission] = row;
  const recipients: NewMailRecipient[] = [];
  for (let at = recipientsAt; at < row.length; at += 3) {
    recipients.push({ userId: row[at] as number, mailboxId: row[at + 1] as number, mailTo: row[at + 2] as string });
  }
  const origin = ip === null ? null : { ip, helo, transmission: transmission as Origin["transmission"] };
  const contentAt = end === 0 ? null : { start, end };
  const text = { envelopeFrom, mailFrom, subject, content, contentAt };
  return { raw, ...text, receivedAtMs, defects: defects ?? [], origin, recipients };
}
