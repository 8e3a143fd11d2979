/** Types of the API: what `/api` and `/v1` answer and what the WebSocket sends, exactly as documented. */

/** One mail as `getmails` lists it. */
export interface SeedMail {
  /** Strictly increasing per user in the order of storing; the value of `since` to go on from. */
  id: number;
  mail_from: string;
  /** Envelope recipient, with its plus tag. */
  mail_to: string;
  subject: string;
  /** Text part, or the HTML part turned into text. */
  content: string;
  /** `YYYY-MM-DD HH:MM:SS` in the server's configured time zone. */
  received_at: string;
}

/** Answer of `getmails`. */
export interface SeedMailList {
  success: true;
  count: number;
  /** Newest first. */
  data: SeedMail[];
}

/** Answer of `action=mailboxes`. */
export interface SeedMailboxes {
  success: true;
  /** Addresses, comma separated. */
  address: string;
}

/** Answer of `action=create_temp_mailbox`. */
export interface SeedTempMailbox {
  success: true;
  mail: string;
}

/** Answer of `action=delete_temp_mailbox`. */
export interface SeedDeleted {
  success: true;
  message: "Temp mailbox deleted";
}

/** Every refusal under `/api`. */
export interface SeedError {
  success: false;
  error: string;
  /** Stable name to branch on; `docs/errors.md` lists them. */
  code: string;
  /** With code `internal`: the id under which the server's log has the cause. */
  incident?: string;
}

/** Answer of `POST /v1/ingest` and of the providers' paths below it: the mail is stored for at least one recipient. */
export interface IngestAnswer {
  success: true;
  /** Names the mail in the server's log; `null` when an earlier post had stored it already. */
  receipt: string | null;
  /** In the order of `to`. */
  recipients: IngestRecipient[];
}

/** A refused post; `recipients` where it got as far as asking for them. */
export interface IngestError extends SeedError {
  recipients?: IngestRecipient[];
}

/** What became of one recipient. */
export type IngestRecipient =
  | { mail: string; stored: true }
  /** `temporary`: another try may succeed. */
  | { mail: string; stored: false; code: string; error: string; temporary: boolean };

/** One WebSocket frame: one mail. */
export interface SeedPush {
  /** The same id as in `getmails`. */
  id: number;
  from: string;
  to: string;
  subject: string;
  content: string;
  received_at: string;
}

/** Answer of `GET /v1/mails/{id}`: one mail with what is known of where it came from. */
export interface MailDetails extends SeedMail {
  success: true;
  /** Envelope sender; empty for the null sender. */
  envelope_from: string;
  /** Who handed it over; `null` for a program on the server's machine. */
  client: { ip: string; helo: string; transmission: string } | null;
  authentication: MailAuthentication;
  /** Bytes of the mail as received. */
  size: number;
  /** What was wrong with it, by name. */
  defects: string[];
}

/** What the server found out about who sent a mail. Nothing of it is read out of the mail's own header. */
export interface MailAuthentication {
  /** `unchecked`: not looked at, or not yet. Every result is `none` then. */
  state: "checked" | "unchecked";
  /** The server's policy for the domain it was sent to calls it suspicious. */
  marked: boolean;
  spf: { result: string; domain: string | null; reason?: string };
  dkim: { result: string; domain: string | null; selector: string | null; reason?: string }[];
  dmarc: {
    result: "pass" | "fail" | "none" | "temperror" | "permerror";
    /** Domain of From. */
    domain: string | null;
    /** What that domain asks to be done with mail that fails. */
    policy: "none" | "quarantine" | "reject" | null;
    aligned: ("spf" | "dkim")[];
    reason?: string;
  };
  arc: { result: string; sealer: string | null; reason?: string };
}
