import type { Logger } from "../../log.ts";
import type { Adapter } from "./adapter.ts";
import { mailgunAdapter } from "./mailgun.ts";
import { postmarkAdapter } from "./postmark.ts";
import { rawAdapter } from "./raw.ts";
import { sendgridAdapter } from "./sendgrid.ts";
import { sesAdapter } from "./ses.ts";
import { SnsCertificates, type FetchText } from "./sns-certificates.ts";

/** Whose posts are taken. */
export interface AdapterSettings {
  /** Largest mail, line ends included. */
  maxMessageBytes: number;
  maxRecipients: number;
  /** `null`: no posts of Mailgun. */
  mailgunSigningKey: string | null;
  /** `null`: posts of SendGrid bring an ingest key. */
  sendgridPublicKey: string | null;
  /** ARNs; empty: no posts of SES. */
  sesTopics: readonly string[];
  /** `null`: signing certificates are fetched from SNS. */
  sesCertificateDirectory: string | null;
  fetchCertificate: FetchText;
}

/** Every way in over HTTP that is switched on. What only a signature proves is off until its secret is configured. */
export function adaptersFor(settings: AdapterSettings, log: Logger): Adapter[] {
  const { mailgunSigningKey, sendgridPublicKey, sesTopics } = settings;
  const adapters = [rawAdapter(settings), postmarkAdapter(settings), sendgridAdapter(settings, sendgridPublicKey)];
  if (mailgunSigningKey !== null) adapters.push(mailgunAdapter(settings, mailgunSigningKey));
  if (sesTopics.length > 0) {
    const { sesCertificateDirectory: directory, fetchCertificate: fetchText } = settings;
    const certificates = new SnsCertificates({ directory, fetchText, log });
    adapters.push(sesAdapter({ topics: new Set(sesTopics), certificates, log }));
  }
  return adapters;
}
