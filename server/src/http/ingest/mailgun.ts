import { createHmac, timingSafeEqual } from "node:crypto";
import { Refusal } from "../../errors.ts";
import { fieldBytes, type Adapter, type AdapterLimits } from "./adapter.ts";
import { FormFields } from "./form-fields.ts";
import { SeenPosts } from "./seen-posts.ts";

const hourMs = 3_600_000;
/** Mailgun goes on trying for 8 hours. */
const windowMs = 12 * hourMs;
const maxPosts = 100_000;

/** What Mailgun signs a post with. */
export interface MailgunSignature {
  timestamp: string;
  token: string;
  signature: string;
}

/** Whether the signature is HMAC-SHA256 of timestamp and token under the signing key, in hexadecimal. Takes the same time either way. */
export function isMailgunSignature(signingKey: string, { timestamp, token, signature }: MailgunSignature): boolean {
  const expected = createHmac("sha256", signingKey).update(`${timestamp}${token}`).digest();
  const given = /^[0-9a-f]{64}$/i.test(signature) ? Buffer.from(signature, "hex") : Buffer.alloc(expected.length);
  return timingSafeEqual(expected, given);
}

/**
 * Routes of Mailgun with `forward()`: the form with `body-mime`, which Mailgun posts only to a URL that ends with `mime`.
 * The signature covers no more than timestamp and token, so a token counts once.
 */
export function mailgunAdapter({ maxMessageBytes }: AdapterLimits, signingKey: string): Adapter {
  const seen = new SeenPosts({ windowMs, maxPosts });
  return {
    name: "mailgun",
    path: "/v1/ingest/mailgun/mime",
    proof: "signature",
    // A form that is not multipart may spend three bytes on one.
    maxBodyBytes: 3 * maxMessageBytes + fieldBytes,
    costPerByte: 3,
    finalStatus: 406,
    async answer({ headers, body }, take) {
      const fields = FormFields.parse(body, headers["content-type"]);
      const [timestamp, token] = [fields.text("timestamp"), fields.text("token")];
      const isShaped = /^\d{1,12}$/.test(timestamp) && token !== "" && token.length <= 200;
      if (!isShaped || !isMailgunSignature(signingKey, { timestamp, token, signature: fields.text("signature") })) {
        throw new Refusal("invalid_signature");
      }
      const identity = { id: token, signedAtMs: Number(timestamp) * 1000 };
      return await seen.once(identity, Date.now(), async (post) => {
        const raw = fields.bytes("body-mime");
        if (raw === undefined) throw new Refusal("raw_missing");
        return await take({ from: fields.text("sender"), to: fields.text("recipient").split(","), raw }, post);
      });
    },
  };
}
