import type { IngestAnswer, IngestError } from "@catmails/client";
import type { House } from "./house.ts";

/** Answer of a post. */
export interface PostAnswer {
  status: number;
  headers: Headers;
  body: IngestAnswer | IngestError;
}

/** Posts something below `/v1/ingest`; `path` may bring a query. */
export async function post(origin: string, path: string, init: RequestInit = {}): Promise<PostAnswer> {
  const response = await fetch(`${origin}/v1/ingest${path}`, { method: "POST", ...init });
  const { status, headers } = response;
  return { status, headers, body: (await response.json()) as PostAnswer["body"] };
}

/** Posts a raw mail with a key. */
export function postMail(
  origin: string,
  query: string | Record<string, string>,
  mail: { key: string; body: NonNullable<RequestInit["body"]>; headers?: Record<string, string> },
): Promise<PostAnswer> {
  const headers = { authorization: `Bearer ${mail.key}`, "content-type": "message/rfc822", ...mail.headers };
  return post(origin, `?${new URLSearchParams(query).toString()}`, { body: mail.body, headers });
}

/** The code of a refusal; "" for an answer that is none. */
export function codeOf({ body }: PostAnswer): string {
  return body.success ? "" : body.code;
}

/** The raw bytes of every mail of a user, oldest first, each character a byte. */
export async function rawMails(house: House, userId: number): Promise<string[]> {
  const page = { userId, filters: null, order: "oldest", limit: 100, maxChars: 1e7, nowMs: Date.now() } as const;
  const mails = await house.store.listMails(page);
  const stored = await Promise.all(
    mails.map(({ id }) => house.store.readMail({ userId, id, mailboxIds: null, nowMs: Date.now() })),
  );
  return stored.map((mail) => Buffer.from(mail?.raw ?? []).toString("latin1"));
}
