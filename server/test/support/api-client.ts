import assert from "node:assert/strict";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import type { SeedMailList } from "@catmails/client";

/** An answer of the API. */
export interface ApiAnswer {
  status: number;
  headers: Headers;
  body: unknown;
}

/** One call of `/api` with these query parameters. */
export async function callApi(
  origin: string,
  query: Readonly<Record<string, string>> | string,
  init: RequestInit & { key?: string } = {},
): Promise<ApiAnswer> {
  const { key, ...rest } = init;
  const headers = new Headers(rest.headers);
  if (key !== undefined) headers.set("authorization", `Bearer ${key}`);
  const search = typeof query === "string" ? query : new URLSearchParams(query).toString();
  const response = await fetch(`${origin}/api${search === "" ? "" : `?${search}`}`, { ...rest, headers });
  const content = await response.text();
  return { status: response.status, headers: response.headers, body: content === "" ? null : JSON.parse(content) };
}

/** `getmails` that must succeed. */
export async function listMails(
  origin: string,
  query: Readonly<Record<string, string>>,
  init: RequestInit & { key?: string } = {},
): Promise<SeedMailList> {
  const { status, body } = await callApi(origin, query, init);
  assert.equal(status, 200, JSON.stringify(body));
  return body as SeedMailList;
}

/** Sends bytes as they are and answers everything that comes back until the server closes. */
export async function exchange(origin: string, bytes: string): Promise<string> {
  const socket = connect(Number(new URL(origin).port), "127.0.0.1");
  socket.end(bytes);
  return await text(socket);
}
