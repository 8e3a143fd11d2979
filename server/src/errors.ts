/**
 * The error table: every refusal a user or a sender can meet, in one place. `docs/errors.md` is held equal to it by a
 * test. Texts are part of the contract; `code` is what programs should branch on.
 */
export const errorTable = {
  missing_key: { code: "missing_key", text: "Missing key", status: 401 },
  invalid_key: { code: "invalid_key", text: "Invalid key", status: 401 },
  invalid_api_key: { code: "invalid_key", text: "Invalid API key", status: 401 },
  missing_mail: { code: "missing_mail", text: "Missing mail", status: 400 },
  mailbox_scope_invalid: { code: "mailbox_scope_invalid", text: "Mailbox scope is invalid", status: 403 },
  read_only_key: { code: "read_only_key", text: "Mailbox scope is invalid", status: 403 },
  ingest_only_key: { code: "ingest_only_key", text: "Mailbox scope is invalid", status: 403 },
  ingest_key_required: { code: "ingest_key_required", text: "Key is not for ingest", status: 401 },
  not_temp_mailbox: {
    code: "not_temp_mailbox",
    text: "Cannot delete main mailbox or alias mailbox (only temp mailbox allowed)",
    status: 403,
  },
  unknown_type: { code: "unknown_type", text: "Unknown type", status: 400 },
  unknown_action: { code: "unknown_action", text: "Unknown action", status: 400 },
  invalid_parameter: { code: "invalid_parameter", text: "Invalid parameter", status: 400 },
  invalid_body: { code: "invalid_body", text: "Invalid body", status: 400 },
  domain_invalid: { code: "domain_invalid", text: "Domain is invalid", status: 400 },
  address_taken: { code: "address_taken", text: "Address is already in use", status: 409 },
  address_reserved: { code: "address_reserved", text: "Address is reserved", status: 409 },
  too_many_mailboxes: { code: "too_many_mailboxes", text: "Too many temp mailboxes", status: 429 },
  too_many_followers: { code: "too_many_followers", text: "Too many open waits and sockets", status: 429 },
  too_many_answers: { code: "too_many_answers", text: "Too many answers wait to be read", status: 429 },
  not_found: { code: "not_found", text: "Not found", status: 404 },
  method_not_allowed: { code: "method_not_allowed", text: "Method not allowed", status: 405 },
  body_too_large: { code: "body_too_large", text: "Body is too large", status: 413 },
  unsupported_body: { code: "unsupported_body", text: "Body type is not supported", status: 415 },
  headers_too_large: { code: "headers_too_large", text: "URL or headers are too long", status: 431 },
  malformed_request: { code: "malformed_request", text: "Malformed request", status: 400 },
  request_timeout: { code: "request_timeout", text: "Request took too long to arrive", status: 408 },
  // Met by those who post mail.
  unknown_mailbox: { code: "unknown_mailbox", text: "No such mailbox here", status: 404 },
  foreign_domain: { code: "foreign_domain", text: "Domain is not served here, no relaying", status: 403 },
  sender_blocked: { code: "sender_blocked", text: "Sender is blocked here", status: 403 },
  mail_too_large: { code: "mail_too_large", text: "Mail is too large", status: 413 },
  mail_never_fits: { code: "mail_never_fits", text: "Mail is larger than the mailbox may ever hold", status: 413 },
  mail_looping: { code: "mail_looping", text: "Mail is looping, too many Received fields", status: 422 },
  raw_missing: { code: "raw_missing", text: "Post holds no raw mail", status: 422 },
  invalid_signature: { code: "invalid_signature", text: "Signature is invalid", status: 401 },
  signature_expired: { code: "signature_expired", text: "Signature is too old", status: 401 },
  post_replayed: { code: "post_replayed", text: "Post was taken before", status: 409 },
  mailbox_full: { code: "mailbox_full", text: "Mailbox is full", status: 503 },
  no_room: { code: "no_room", text: "No room for this mail now", status: 503 },
  internal: { code: "internal", text: "Internal error", status: 500 },
  unavailable: { code: "unavailable", text: "Service is not available", status: 503 },
  // Met only by the operator at the command line.
  domain_unknown: { code: "domain_unknown", text: "Domain is not served here", status: 400 },
  domain_taken: { code: "domain_taken", text: "Domain is already served here", status: 409 },
  domain_in_use: { code: "domain_in_use", text: "Domain still has mailboxes", status: 409 },
  key_taken: { code: "key_taken", text: "Key already exists", status: 409 },
  rule_taken: { code: "rule_taken", text: "Value is already on this list", status: 409 },
  too_many_rules: { code: "too_many_rules", text: "The lists of senders are full", status: 409 },
  store_failed: { code: "store_failed", text: "The store could not complete this", status: 503 },
} as const satisfies Record<string, ErrorEntry>;

export interface ErrorEntry {
  code: string;
  text: string;
  status: number;
}

export type ErrorName = keyof typeof errorTable;

/** A refusal from the table. Anything else that is thrown is a bug, answered 500 or 451 with an incident id. */
export class Refusal extends Error {
  readonly entry: ErrorEntry;
  readonly errorName: ErrorName;
  /** Seconds after which trying again may help; becomes `Retry-After`. */
  readonly retryAfterSeconds: number | undefined;

  constructor(name: ErrorName, options: { cause?: unknown; detail?: string; retryAfterSeconds?: number } = {}) {
    const entry = errorTable[name];
    super(options.detail === undefined ? entry.text : `${entry.text}: ${options.detail}`, { cause: options.cause });
    this.name = "Refusal";
    this.errorName = name;
    this.entry = entry;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** True when the error is this entry of the table. */
export function isRefusal(error: unknown, name?: ErrorName): error is Refusal {
  return error instanceof Refusal && (name === undefined || error.errorName === name);
}

/** What an error says, for a person who looks after the server; anything may have been thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Code of a fault of the operating system (`ENOENT`, `EADDRINUSE`); `unknown` for any other error. */
export function systemCodeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown";
}
