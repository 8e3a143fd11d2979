import type { SeedMail, SeedPush } from "@catmails/client";
import type { TimeFormatter } from "../clock.ts";
import type { MailRecord } from "../mail/follower.ts";

/** A mail as the lists of the API show it. */
export function seedMail(mail: MailRecord, formatTime: TimeFormatter): SeedMail {
  return {
    id: mail.id,
    mail_from: mail.mailFrom,
    mail_to: mail.mailTo,
    subject: mail.subject,
    content: mail.content,
    received_at: formatTime(mail.receivedAtMs),
  };
}

/** A mail as the WebSocket pushes it. */
export function seedPush(mail: MailRecord, formatTime: TimeFormatter): SeedPush {
  return {
    from: mail.mailFrom,
    to: mail.mailTo,
    subject: mail.subject,
    content: mail.content,
    received_at: formatTime(mail.receivedAtMs),
    id: mail.id,
  };
}
