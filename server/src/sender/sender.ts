/** The face of this room: who sent a mail, and what others say about a client. Asks the DNS and nobody else. */
export { dmarcResults, type Authentication, type DmarcResult } from "./authentication.ts";
export { SenderDesk } from "./sender-desk.ts";
