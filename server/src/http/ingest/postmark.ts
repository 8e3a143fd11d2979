import { hash } from "node:crypto";
import { Refusal } from "../../errors.ts";
import { splitAddresses } from "../../mail/access.ts";
import { fieldBytes, type Adapter, type AdapterLimits } from "./adapter.ts";
import { parseObject, textOf, type JsonObject } from "./json-fields.ts";
import { SeenPosts } from "./seen-posts.ts";

const hourMs = 3_600_000;
/** Postmark goes on trying for some 10.5 hours. */
const windowMs = 12 * hourMs;
const maxPosts = 100_000;

/**
 * The inbound webhook of Postmark with "Include raw email content". Postmark signs nothing: the post brings an ingest key,
 * as the password of Basic authentication in the webhook's URL. `to` in that URL replaces `OriginalRecipient`, which
 * is an address of Postmark's own unless a domain is forwarded there.
 */
export function postmarkAdapter({ maxMessageBytes }: AdapterLimits): Adapter {
  const seen = new SeenPosts({ windowMs, maxPosts });
  return {
    name: "postmark",
    path: "/v1/ingest/postmark",
    proof: "key",
    // The mail is in it as `RawEmail`, as texts, and its attachments once more in Base64.
    maxBodyBytes: 3 * maxMessageBytes + fieldBytes,
    costPerByte: 4,
    finalStatus: 403,
    async answer({ query, body }, take) {
      const document = parseObject(body.toString("utf8"));
      const given = splitAddresses(query.to);
      const to = given.length > 0 ? given : [textOf(document, "OriginalRecipient")];
      const messageId = textOf(document, "MessageID");
      if (messageId === "") throw new Refusal("invalid_body");
      const id = hash("sha256", JSON.stringify([messageId, ...to]), "base64");
      const nowMs = Date.now();
      return await seen.once({ id, signedAtMs: nowMs }, nowMs, async (post) => {
        const raw = Buffer.from(textOf(document, "RawEmail"));
        if (raw.byteLength === 0) throw new Refusal("raw_missing");
        return await take({ from: senderOf(document), to, raw }, post);
      });
    },
  };
}

/** Postmark names the envelope sender only in the Return-Path that it adds, so there may be none. */
function senderOf(document: JsonObject): string {
  const headers: readonly unknown[] = Array.isArray(document["Headers"]) ? document["Headers"] : [];
  for (const header of headers) {
    if (typeof header !== "object" || header === null) continue;
    const { Name: name, Value: value } = header as { Name?: unknown; Value?: unknown };
    if (typeof name === "string" && typeof value === "string" && name.toLowerCase() === "return-path") return value;
  }
  return textOf(document, "From");
}
