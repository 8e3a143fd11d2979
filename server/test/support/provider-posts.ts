import { createHmac, randomBytes, sign, type KeyObject } from "node:crypto";

/** The fields of a form; a value is bytes, each character one. */
type Fields = Readonly<Record<string, string>>;

/** A body with its headers, ready to be posted. */
export interface ReadyPost {
  headers: Record<string, string>;
  body: Buffer;
}

/** `multipart/form-data` as providers write it: fields without a file name, whatever they hold. */
export function multipart(fields: Fields): ReadyPost {
  const boundary = "xYzZY";
  const parts = Object.entries(fields).map(
    ([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  return {
    headers: { "content-type": `multipart/form-data; boundary=${boundary}` },
    body: Buffer.from(`${parts.join("")}--${boundary}--\r\n`, "latin1"),
  };
}

/** `application/x-www-form-urlencoded`, every byte but letters and digits percent-encoded. */
export function urlEncoded(fields: Fields): ReadyPost {
  const encode = (text: string): string =>
    text.replace(/[^A-Za-z0-9 ]/g, (byte) => `%${Buffer.from(byte, "latin1").toString("hex")}`).replaceAll(" ", "+");
  const pairs = Object.entries(fields).map(([name, value]) => `${encode(name)}=${encode(value)}`);
  return { headers: { "content-type": "application/x-www-form-urlencoded" }, body: Buffer.from(pairs.join("&")) };
}

/** The fields that Mailgun documents for a route with a raw MIME destination, signed. */
export function mailgunFields(signingKey: string, mail: { to: string; raw: string; timestamp?: number }): Fields {
  const timestamp = String(mail.timestamp ?? Math.floor(Date.now() / 1000));
  const token = randomBytes(25).toString("hex");
  return {
    recipient: mail.to,
    sender: "bounce+1@example.com",
    from: "Cat <cat@example.com>",
    subject: "Code",
    "message-headers": '[["Subject","Code"]]',
    "body-mime": mail.raw,
    timestamp,
    token,
    signature: createHmac("sha256", signingKey)
      .update(timestamp + token)
      .digest("hex"),
  };
}

/** The fields that SendGrid documents for Inbound Parse with the raw mail. */
export function sendgridFields(mail: { to: readonly string[]; raw: string }): Fields {
  return {
    headers: "Received: by mx0047p1mdw1.sendgrid.net",
    dkim: "{@example.com : pass}",
    email: mail.raw,
    to: "Ann <ann@mails.test>",
    from: "Cat <cat@example.com>",
    sender_ip: "192.0.2.1",
    spam_report: "Spam detection software",
    envelope: JSON.stringify({ to: mail.to, from: "bounce@example.com" }),
    subject: "Code",
    spam_score: "0.1",
    charsets: '{"to":"UTF-8","subject":"UTF-8","from":"UTF-8"}',
    SPF: "pass",
  };
}

/** Signs a post as SendGrid does: ECDSA with SHA-256 over timestamp and body, in Base64 of DER. */
export function signedBySendgrid(
  post: ReadyPost,
  privateKey: KeyObject,
  timestamp = Math.floor(Date.now() / 1000),
): ReadyPost {
  const signature = sign("sha256", Buffer.concat([Buffer.from(String(timestamp)), post.body]), privateKey);
  return {
    body: post.body,
    headers: {
      ...post.headers,
      "x-twilio-email-event-webhook-signature": signature.toString("base64"),
      "x-twilio-email-event-webhook-timestamp": String(timestamp),
    },
  };
}

/** The document that Postmark gives as its example, with the raw mail. */
export function postmarkDocument(mail: { to: string; raw: string; messageId?: string }): Record<string, unknown> {
  const person = { Email: "cat@example.com", Name: "Cat", MailboxHash: "" };
  return {
    FromName: "Cat",
    MessageStream: "inbound",
    From: "cat@example.com",
    FromFull: person,
    To: '"Firstname Lastname" <yourhash+SampleHash@inbound.postmarkapp.com>',
    ToFull: [
      { Email: "yourhash+SampleHash@inbound.postmarkapp.com", Name: "Firstname Lastname", MailboxHash: "SampleHash" },
    ],
    Cc: "",
    CcFull: [],
    Bcc: "",
    BccFull: [],
    OriginalRecipient: mail.to,
    Subject: "Test subject",
    MessageID: mail.messageId ?? randomBytes(16).toString("hex"),
    ReplyTo: "replyto@postmarkapp.com",
    MailboxHash: "SampleHash",
    Date: "Fri, 1 Aug 2014 16:45:32 -04:00",
    TextBody: "This is a test text body.",
    HtmlBody: "<html><body><p>This is a test html body.</p></body></html>",
    StrippedTextReply: "This is the reply text",
    Tag: "TestTag",
    RawEmail: mail.raw,
    Headers: [
      { Name: "Return-Path", Value: "<bounce@example.com>" },
      { Name: "X-Spam-Status", Value: "No" },
    ],
    Attachments: [
      { Name: "test.txt", Content: "VGhpcyBpcyBhdHRhY2htZW50", ContentType: "text/plain", ContentLength: 45 },
    ],
  };
}

/** The notification of an SNS action that Amazon documents for SES receiving. */
export function sesNotification(mail: { to: readonly string[]; content?: string; encoding?: string }): string {
  return JSON.stringify({
    notificationType: "Received",
    receipt: {
      timestamp: "2015-09-11T20:32:33.936Z",
      processingTimeMillis: 222,
      recipients: mail.to,
      spamVerdict: { status: "PASS" },
      virusVerdict: { status: "PASS" },
      action: {
        type: "SNS",
        topicArn: snsTopic,
        ...(mail.encoding === undefined ? {} : { encoding: mail.encoding }),
      },
    },
    mail: {
      timestamp: "2015-09-11T20:32:33.936Z",
      source: "bounce@example.com",
      messageId: "d6iitobk75ur44p8kdnnp7g2n800",
      destination: mail.to,
      headersTruncated: false,
      headers: [{ name: "Subject", value: "Example subject" }],
      commonHeaders: { returnPath: "bounce@example.com", subject: "Example subject" },
    },
    ...(mail.content === undefined ? {} : { content: mail.content }),
  });
}

/** The topic and the certificate of Amazon's examples. */
export const snsTopic = "arn:aws:sns:us-west-2:123456789012:MyTopic";
export const snsCertificateName = "SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem";
const snsOrigin = "https://sns.us-west-2.amazonaws.com";

/** A post of SNS as documented, all of its fields; those of `fields` are signed, those of `forged` put in afterwards. */
export function snsPost(
  privateKey: KeyObject,
  fields: Readonly<Record<string, string>>,
  forged: Readonly<Record<string, string>> = {},
): ReadyPost {
  const message: Record<string, string> = {
    Type: "Notification",
    MessageId: randomBytes(16).toString("hex"),
    TopicArn: snsTopic,
    Timestamp: new Date().toISOString(),
    SignatureVersion: "1",
    SigningCertURL: `${snsOrigin}/${snsCertificateName}`,
    ...fields,
  };
  // The documented order of the keys, each on a line, its value on the next.
  const signedKeys = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];
  const text = signedKeys.flatMap((key) => (message[key] === undefined ? [] : [`${key}\n${message[key]}\n`])).join("");
  const digest = message["SignatureVersion"] === "2" ? "sha256" : "sha1";
  const signature = sign(digest, Buffer.from(text), privateKey).toString("base64");
  return {
    headers: { "content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": message["Type"] ?? "" },
    body: Buffer.from(JSON.stringify({ ...message, Signature: signature, ...forged })),
  };
}
