import { X509Certificate, type KeyObject } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { problemText, type Authority, type Resource } from "./authority.ts";
import { AcmeFault } from "./fault.ts";
import { isObject, textOf } from "./json.ts";
import { keyAuthorizationOf } from "./signature.ts";
import { makeRequest } from "./x509.ts";

/** What an authority looks for when it checks a name (RFC 8555 section 8, RFC 8737). */
export interface Challenge {
  name: string;
  token: string;
  keyAuthorization: string;
}

/** Where challenges of one type are answered. */
export interface ChallengeDoor {
  readonly type: "http-01" | "tls-alpn-01";
  /** From now on the challenge is answered. */
  open(challenge: Challenge): void;
  /** And now no more. */
  close(challenge: Challenge): void;
}

export interface OrderOptions {
  name: string;
  /** P-256; the certificate will be for it. */
  key: KeyObject;
  door: ChallengeDoor;
  signal: AbortSignal;
}

const firstPauseMs = 250;
const maxPauseMs = 10_000;
/** For one step of an order. Authorities look from several places, one after the other. */
const stepTimeoutMs = 180_000;

/**
 * Orders a certificate for one name (RFC 8555 section 7.4) and answers its chain in PEM. Rejects with {@link AcmeFault}
 * when the authority refuses or a step takes more than 3 minutes, and with the reason of `signal` when it is aborted.
 */
export async function orderCertificate(authority: Authority, options: OrderOptions): Promise<string> {
  const { name, key, signal } = options;
  const order = await authority.post(authority.directory.newOrder, { identifiers: [{ type: "dns", value: name }] });
  const authorizations: unknown = order.body["authorizations"];
  for (const url of Array.isArray(authorizations) ? authorizations : []) {
    await authorize(authority, String(url), options);
  }
  const at = order.location;
  const ready = await poll(authority, at, { whileStatus: ["pending"], signal });
  if (textOf(ready, "status") === "ready") {
    await authority.post(textOf(ready, "finalize"), { csr: makeRequest(name, key).toString("base64url") });
  }
  const done = await poll(authority, at, { whileStatus: ["ready", "processing"], signal });
  if (textOf(done, "status") !== "valid") {
    throw new AcmeFault(`The authority gave the order up: ${problemText(done["error"])}`);
  }
  const chainPem = await authority.download(textOf(done, "certificate"));
  if (!isFor(chainPem, options))
    throw new AcmeFault(`The authority gave something that is no certificate for ${name}.`);
  return chainPem;
}

function isFor(chainPem: string, { name, key }: OrderOptions): boolean {
  try {
    const leaf = new X509Certificate(chainPem);
    return leaf.checkHost(name) !== undefined && leaf.checkPrivateKey(key);
  } catch {
    return false;
  }
}

async function authorize(authority: Authority, url: string, { name, door, signal }: OrderOptions): Promise<void> {
  const { body } = await authority.post(url, null);
  // An authority remembers for a while what was proved.
  if (textOf(body, "status") === "valid") return;
  const offered = challengesOf(body).find((challenge) => textOf(challenge, "type") === door.type);
  if (offered === undefined) throw new AcmeFault(`The authority does not check ${name} by ${door.type}.`);
  const token = textOf(offered, "token");
  const challenge = { name, token, keyAuthorization: keyAuthorizationOf(token, authority.key) };
  door.open(challenge);
  try {
    await authority.post(textOf(offered, "url"), {});
    const checked = await poll(authority, url, { whileStatus: ["pending"], signal });
    if (textOf(checked, "status") === "valid") return;
    const failed = challengesOf(checked).find((one) => isObject(one["error"]));
    const why = problemText(failed?.["error"]);
    throw new AcmeFault(`The authority's ${door.type} check of ${name} failed: ${why}`);
  } finally {
    door.close(challenge);
  }
}

function challengesOf(authorization: Resource["body"]): Record<string, unknown>[] {
  const challenges: unknown = authorization["challenges"];
  return Array.isArray(challenges) ? challenges.filter(isObject) : [];
}

async function poll(
  authority: Authority,
  url: string,
  { whileStatus, signal }: { whileStatus: readonly string[]; signal: AbortSignal },
): Promise<Resource["body"]> {
  const startedAtMs = performance.now();
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 1.5, maxPauseMs)) {
    const { body, retryAfterMs } = await authority.post(url, null);
    const status = textOf(body, "status");
    if (!whileStatus.includes(status)) return body;
    const spentMs = performance.now() - startedAtMs;
    if (spentMs > stepTimeoutMs) throw new AcmeFault(`The authority left it at "${status}" for too long.`);
    await delay(Math.max(pauseMs, Math.min(retryAfterMs ?? 0, maxPauseMs)), undefined, { signal });
  }
}
