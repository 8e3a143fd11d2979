import type { MailDetails } from "@catmails/client";
import type { TimeFormatter } from "../clock.ts";
import type { MailView } from "../mail/reading.ts";
import { seedMail } from "./seed-mail.ts";

/** A mail as `GET /v1/mails/{id}` shows it: the fields of the lists first, and the same. */
export function mailDetails(mail: MailView, formatTime: TimeFormatter): Omit<MailDetails, "success"> {
  const { origin, authentication, envelopeFrom, sizeBytes, defects } = mail;
  return {
    ...seedMail(mail, formatTime),
    envelope_from: envelopeFrom,
    client: origin,
    authentication,
    size: sizeBytes,
    defects: [...defects],
  };
}
