import type { Authentication, CheckedMail } from "./authentication.ts";
import type { DnsServer } from "./dns-exchange.ts";

/** What the worker's thread is started with. */
export interface WorkerStart {
  servers: DnsServer[];
  hostname: string;
  zones: string[];
}

/** A mail whose bytes are the thread's own, to be freed when it is checked. */
export type OwnMail = CheckedMail & { raw: Uint8Array<ArrayBuffer> };

/** What the calling thread sends. Answers carry the same `id`, in any order. */
export type ToWorker =
  /** `dueAtMs`: since the Unix epoch, on the clock of {@link performance}, whose own times mean nothing to another thread. */
  { kind: "check"; id: number; mail: OwnMail; dueAtMs: number } | { kind: "look-up"; id: number; ip: string };

/** What the worker sends back. */
export type FromWorker =
  | { kind: "checked"; id: number; found: Authentication }
  | { kind: "looked-up"; id: number; isListed: boolean };
