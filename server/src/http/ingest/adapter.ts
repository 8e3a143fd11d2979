import type { IncomingHttpHeaders } from "node:http";
import type { IngestAccess } from "../../mail/access.ts";
import type { Parameters } from "../parameters.ts";
import type { OpenPost } from "./seen-posts.ts";

/** One post, whole. */
export interface Post {
  headers: IncomingHttpHeaders;
  query: Parameters;
  body: Buffer;
}

/** What a post says about its mail. */
export interface PostedMail {
  /** Envelope sender as given; "" for the null reverse-path and where the provider does not say. */
  from: string;
  /** Envelope recipients as given; at least one. */
  to: readonly string[];
  /** The mail's bytes as the provider has them. */
  raw: Uint8Array;
}

/** Stores a mail and makes the answer. `post` remembers what is stored when the provider may try again. */
export type Take = (mail: PostedMail, post: OpenPost | null) => Promise<object>;

/** How one provider's posts are read. */
export interface Adapter {
  /** Names it in metrics and the log. */
  name: string;
  path: string;
  /**
   * `key`: the post brings an ingest key, which is asked for before its body is read. `signature`: {@link answer} checks the
   * provider's signature, and the mail may go to every mailbox.
   */
  proof: "key" | "signature";
  maxBodyBytes: number;
  /** Bytes of memory that a byte of the body may cost. */
  costPerByte: number;
  /** The status that tells this provider to give a mail up, where it is not that of the refusal itself. */
  finalStatus?: number;
  /**
   * Reads the post, hands its mail to `take`, and answers what the provider is to get with 200. Throws `unsupported_body`,
   * `invalid_body`, `invalid_parameter`, `raw_missing`, `invalid_signature`, `signature_expired`, `post_replayed`.
   */
  answer(post: Post, take: Take): Promise<object>;
}

/** What an adapter is made with. */
export interface AdapterLimits {
  maxMessageBytes: number;
  /** Recipients that a raw mail may have. A provider says who gets a mail and would drop it if there were too many. */
  maxRecipients: number;
}

/** Whom a post may reach: the access of its key, or everybody (`null`) when its signature is its proof. */
export type PostAccess = IngestAccess | null;

/** What a form or JSON document says beside the mail itself. */
export const fieldBytes = 1024 * 1024;
