import { errorTable } from "../errors.ts";
import type { Answer } from "./envelope.ts";

/** How a WebSocket is closed: a code and a reason of at most 123 bytes (RFC 6455 section 5.5). */
export interface Close {
  code: number;
  reason: string;
}

/** The close that says the same as an answer of the API would. */
export function closeOf({ status, body }: Answer): Close {
  // Details are texts of ours in ASCII, so characters are bytes.
  return { code: codeOf(status), reason: body.error.slice(0, 123) };
}

/** The close for an entry of the error table. */
export function closeFor(name: "invalid_key" | "mailbox_scope_invalid" | "internal"): Close {
  const { status, text } = errorTable[name];
  return { code: codeOf(status), reason: text };
}

/** 44xx for what the client has to change, 1013 (try again later) and 1011 (our fault) of the WebSocket registry (IANA). */
function codeOf(status: number): number {
  if (status === 401 || status === 403) return 4000 + status;
  if (status === 429 || status === 503) return 1013;
  return status < 500 ? 4400 : 1011;
}
