import { createPublicKey, createVerify, hash, type KeyObject } from "node:crypto";
import { Refusal } from "../../errors.ts";
import { fieldBytes, type Adapter, type AdapterLimits, type Post } from "./adapter.ts";
import { FormFields } from "./form-fields.ts";
import { parseObject, textList, textOf } from "./json-fields.ts";
import { SeenPosts, type PostIdentity } from "./seen-posts.ts";

const signatureHeader = "x-twilio-email-event-webhook-signature";
const timestampHeader = "x-twilio-email-event-webhook-timestamp";
const hourMs = 3_600_000;
/** SendGrid goes on trying for 3 days. */
const windowMs = 4 * 24 * hourMs;
const maxPosts = 100_000;

/** The public key as SendGrid shows it: Base64 of a DER `SubjectPublicKeyInfo`. Throws when it is none. */
export function sendgridPublicKey(text: string): KeyObject {
  return createPublicKey({ key: Buffer.from(text, "base64"), format: "der", type: "spki" });
}

/** Whether the signature (Base64, DER) is ECDSA with SHA-256 over the timestamp and the body's bytes. */
export function isSendgridSignature(
  key: KeyObject,
  signed: { timestamp: string; signature: string; body: Buffer },
): boolean {
  const content = createVerify("sha256").update(signed.timestamp).update(signed.body);
  return content.verify(key, signed.signature, "base64");
}

/**
 * Inbound Parse of SendGrid with "POST the raw, full MIME message". With a public key every post must be signed; without
 * one it must bring an ingest key.
 */
export function sendgridAdapter({ maxMessageBytes }: AdapterLimits, publicKey: string | null): Adapter {
  const seen = new SeenPosts({ windowMs, maxPosts });
  const key = publicKey === null ? null : sendgridPublicKey(publicKey);
  return {
    name: "sendgrid",
    path: "/v1/ingest/sendgrid",
    proof: key === null ? "key" : "signature",
    maxBodyBytes: maxMessageBytes + fieldBytes,
    costPerByte: 3,
    async answer(post, take) {
      if (key === null) return await take(mailOf(post), null);
      const identity = identityOf(key, post);
      return await seen.once(identity, Date.now(), (open) => take(mailOf(post), open));
    },
  };
}

/** Throws `invalid_signature`. */
function identityOf(key: KeyObject, { headers, body }: Post): PostIdentity {
  const [timestamp, signature] = [headers[timestampHeader], headers[signatureHeader]];
  if (typeof timestamp !== "string" || !/^\d{1,12}$/.test(timestamp) || typeof signature !== "string") {
    throw new Refusal("invalid_signature");
  }
  if (!isSendgridSignature(key, { timestamp, signature, body })) throw new Refusal("invalid_signature");
  // Not the signature: anybody can make a second valid one from an ECDSA signature.
  return { id: `${timestamp} ${hash("sha256", body, "base64")}`, signedAtMs: Number(timestamp) * 1000 };
}

function mailOf({ headers, body }: Post): { from: string; to: string[]; raw: Buffer } {
  const fields = FormFields.parse(body, headers["content-type"]);
  const raw = fields.bytes("email");
  if (raw === undefined) throw new Refusal("raw_missing");
  const envelope = parseObject(fields.text("envelope"));
  return { from: textOf(envelope, "from"), to: textList(envelope, "to"), raw };
}
