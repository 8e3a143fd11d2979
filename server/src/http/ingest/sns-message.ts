import { verify, type KeyObject } from "node:crypto";
import { Refusal } from "../../errors.ts";
import { textOf, type JsonObject } from "./json-fields.ts";

/** What SNS posts, as far as anybody but the sender cares. Nothing of it is proven before its signature is. */
export interface SnsMessage {
  type: "Notification" | "SubscriptionConfirmation" | "UnsubscribeConfirmation";
  messageId: string;
  topicArn: string;
  message: string;
  /** NaN when it is no time. */
  timestampMs: number;
  /** Only of a confirmation; "" otherwise. */
  subscribeUrl: string;
  signatureVersion: string;
  /** Base64. */
  signature: string;
  signingCertUrl: string;
  /** What the signature is over. */
  signedText: string;
}

/** A topic's ARN: partition, region, account and name. */
const arnShape = /^arn:(aws[a-z-]*):sns:([a-z0-9-]{1,32}):\d{12}:[\w-]{1,256}(?:\.fifo)?$/;

/** The fields that are signed, in the order of the alphabet as the documentation has them; `Subject` only where there is one. */
const signedFields = {
  Notification: ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
  SubscriptionConfirmation: ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
  UnsubscribeConfirmation: ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
} as const;

/** Reads a post of SNS. Throws `invalid_body` when it is none, as with raw message delivery, which nobody signs. */
export function readSnsMessage(document: JsonObject): SnsMessage {
  const type = textOf(document, "Type");
  if (!isSnsType(type)) throw new Refusal("invalid_body");
  const signed = signedFields[type].filter((name) => name !== "Subject" || typeof document[name] === "string");
  return {
    type,
    messageId: textOf(document, "MessageId"),
    topicArn: textOf(document, "TopicArn"),
    message: textOf(document, "Message"),
    timestampMs: Date.parse(textOf(document, "Timestamp")),
    subscribeUrl: textOf(document, "SubscribeURL"),
    signatureVersion: textOf(document, "SignatureVersion"),
    signature: textOf(document, "Signature"),
    signingCertUrl: textOf(document, "SigningCertURL"),
    signedText: signed.map((name) => `${name}\n${textOf(document, name)}\n`).join(""),
  };
}

function isSnsType(type: string): type is SnsMessage["type"] {
  return Object.hasOwn(signedFields, type);
}

/** Whether the key made the signature: RSA with SHA-1 for version 1, SHA-256 for version 2. */
export function isSnsSignature(key: KeyObject, message: SnsMessage): boolean {
  const digests: Readonly<Record<string, string>> = { 1: "sha1", 2: "sha256" };
  const digest = digests[message.signatureVersion];
  if (digest === undefined || key.asymmetricKeyType !== "rsa") return false;
  return verify(digest, Buffer.from(message.signedText), key, Buffer.from(message.signature, "base64"));
}

/** Origin of the SNS endpoint that serves a topic, told by the ARN alone; `null` when that is none. */
export function snsOriginOf(topicArn: string): string | null {
  const [, partition, region] = arnShape.exec(topicArn) ?? [];
  if (partition === undefined) return null;
  return `https://sns.${region}.amazonaws.com${partition === "aws-cn" ? ".cn" : ""}`;
}
