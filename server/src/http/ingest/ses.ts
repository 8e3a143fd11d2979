import { Refusal } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type { Adapter, Post, Take } from "./adapter.ts";
import { objectOf, parseObject, textList, textOf, type JsonObject } from "./json-fields.ts";
import { SeenPosts, type OpenPost } from "./seen-posts.ts";
import type { SnsCertificates } from "./sns-certificates.ts";
import { isSnsSignature, readSnsMessage, snsOriginOf, type SnsMessage } from "./sns-message.ts";

export interface SesOptions {
  /** ARNs of the topics that may post. */
  topics: ReadonlySet<string>;
  certificates: Pick<SnsCertificates, "keyFor">;
  log: Logger;
}

/** SNS carries 256 KiB, which JSON within JSON may write four times as long. */
const maxBodyBytes = 1024 * 1024;
/** SNS goes on trying for an hour at most. */
const windowMs = 2 * 3_600_000;
const maxPosts = 100_000;
/** A UUID. With a line end in it, what is signed as a subject could be made part of the id, and the post another one. */
const messageIdShape = /^[\w-]{1,100}$/;

/**
 * Amazon SES receiving with an SNS action, over an HTTPS subscription. Only listed topics count, and every post has to
 * carry a good signature of SNS. A subscription is confirmed by the operator, who finds its link in the log: the server
 * opens no link that a post names.
 */
export function sesAdapter({ topics, certificates, log }: SesOptions): Adapter {
  const seen = new SeenPosts({ windowMs, maxPosts });
  return {
    name: "ses",
    path: "/v1/ingest/ses",
    proof: "signature",
    maxBodyBytes,
    // A document in a document, and the mail in it perhaps in Base64.
    costPerByte: 6,
    async answer({ body }: Post, take: Take) {
      const message = readSnsMessage(parseObject(body.toString("utf8")));
      const origin = snsOriginOf(message.topicArn);
      if (origin === null || !topics.has(message.topicArn) || !messageIdShape.test(message.messageId)) {
        throw new Refusal("invalid_signature");
      }
      const key = await certificates.keyFor(origin, message.signingCertUrl);
      if (!isSnsSignature(key, message)) throw new Refusal("invalid_signature");
      const identity = { id: message.messageId, signedAtMs: message.timestampMs };
      return await seen.once(identity, Date.now(), async (post) => {
        if (message.type === "Notification") return await notified(message, { take, post, log });
        tellOperator(message, origin, log);
        post.finish();
        return { success: true };
      });
    },
  };
}

function tellOperator({ type, topicArn, subscribeUrl }: SnsMessage, origin: string, log: Logger): void {
  // A link to somewhere else is signed too when somebody got hold of a topic's wording; nobody should open it.
  const link = subscribeUrl.startsWith(`${origin}/?`) ? subscribeUrl : null;
  if (type === "SubscriptionConfirmation") {
    log.warn({ topic: topicArn, link }, "SNS asks to confirm a subscription: open the link, if it is yours");
  } else log.warn({ topic: topicArn }, "SNS says that a subscription has ended");
}

async function notified(
  { message, topicArn }: SnsMessage,
  { take, post, log }: { take: Take; post: OpenPost; log: Logger },
): Promise<object> {
  const document = parseNotification(message);
  const kind = document === null ? "" : textOf(document, "notificationType");
  if (document === null || kind !== "Received") {
    // SES tries a topic out when a rule is made, and a topic may carry what is not for us.
    log.info({ topic: topicArn, kind }, "SNS notified of something that is no mail");
    post.finish();
    return { success: true };
  }
  const { content } = document;
  if (typeof content !== "string") throw new Refusal("raw_missing");
  const [mail, receipt] = [objectOf(document, "mail"), objectOf(document, "receipt")];
  const isBase64 = textOf(objectOf(receipt, "action"), "encoding").toUpperCase() === "BASE64";
  const raw = Buffer.from(content, isBase64 ? "base64" : "utf8");
  return await take({ from: textOf(mail, "source"), to: textList(receipt, "recipients"), raw }, post);
}

function parseNotification(message: string): JsonObject | null {
  try {
    return parseObject(message);
  } catch {
    return null;
  }
}
