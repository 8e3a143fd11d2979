import type { Origin } from "../origin.ts";

// Mails as they go in and out of a store; part of the contract, and seen through `store.ts`.

/** One mail on its way in. The store owns `raw` from the call on: the caller must not touch its bytes again. */
export interface NewMail {
  /** Bytes as received. Large ones span their whole ArrayBuffer, so that an engine can hand it to a thread without a copy. */
  raw: Uint8Array<ArrayBuffer>;
  /** Envelope sender; empty for the null reverse-path. */
  envelopeFrom: string;
  /** Address of the From header, or the envelope sender where there is none. */
  mailFrom: string;
  subject: string;
  /**
   * The text part, or the HTML part turned into text. `null`: nobody has read it; it stands at `contentAt`, or is to be read from raw by
   * whoever wants it, which is allowed up to {@link maxUnparsedBytes}.
   */
  content: string | null;
  /** Where that stands in `raw`, so that an engine may store it once; left out or `null` where it does not, or nobody knows. */
  contentAt?: ContentPlace | null;
  receivedAtMs: number;
  /** Named parse defects, for the reader's information; of a mail whose content was not read those of its header. */
  defects: readonly string[];
  /** `null`: a program of this machine handed it over. */
  origin: Origin | null;
  /** At least one; no two with the same `mailboxId` and `mailTo`. */
  recipients: readonly NewMailRecipient[];
}

/** Larger mails are committed with their content: a list reads all of a mail whose content is not known. */
export const maxUnparsedBytes = 128 * 1024;

/** The UTF-8 of these bytes of a mail is its content, with CRLF, LF or CR for each line end. */
export interface ContentPlace {
  readonly start: number;
  readonly end: number;
}

export interface NewMailRecipient {
  userId: number;
  mailboxId: number;
  /** Canonical envelope recipient, tag included. */
  mailTo: string;
}

export interface CommittedMail {
  /** In the order of `recipients`; ids of one user increase in commit order. */
  delivered: readonly { userId: number; mailboxId: number; mailTo: string; id: number }[];
  /** Recipients whose mailbox was deleted between RCPT and the commit. All recipients here: nothing was stored. */
  gone: readonly NewMailRecipient[];
}

export interface MailRecord {
  /** Set where this very object is given out again when the mail is asked for again, so that what is made of it may be kept with it. */
  isKept?: true;
  id: number;
  mailboxId: number;
  mailFrom: string;
  mailTo: string;
  subject: string;
  content: string;
  receivedAtMs: number;
}

/** A mail whose content is still to be read from its raw bytes. */
export interface UnparsedMail extends Omit<MailRecord, "content"> {
  content: null;
  raw: Uint8Array;
}

export type ListedMail = MailRecord | UnparsedMail;

/** The content of a mail that was committed without it, and all its defects. */
export interface ReadContent {
  userId: number;
  id: number;
  content: string;
  defects: readonly string[];
}

export type StoredMail = Omit<MailRecord, "content"> & {
  /** `null`: nobody has read it from the raw bytes, and `defects` are those of the header. */
  content: string | null;
  envelopeFrom: string;
  defects: string[];
  raw: Uint8Array;
};

export type MailDetails = ListedMail & {
  envelopeFrom: string;
  defects: string[];
  /** Bytes of the raw mail. */
  sizeBytes: number;
  origin: Origin | null;
  /** `null`: nothing was recorded. */
  sender: { marked: boolean; findings: string } | null;
};
