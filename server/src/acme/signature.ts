import { createHash, createPublicKey, sign, type KeyObject } from "node:crypto";

/** What a signed request says of itself (RFC 8555 section 6.2). */
export interface Protected {
  url: string;
  nonce: string;
  /** The account's URL; `null` signs with the key itself, which only a new account does. */
  account: string | null;
}

/** A request body as ACME wants it: flattened JWS JSON (RFC 7515 section 7.2.2), ES256. `payload` `null` is POST-as-GET. */
export function signRequest(key: KeyObject, { url, nonce, account }: Protected, payload: unknown): string {
  const who = account === null ? { jwk: publicJwk(key) } : { kid: account };
  const header = encode(JSON.stringify({ alg: "ES256", ...who, nonce, url }));
  const body = payload === null ? "" : encode(JSON.stringify(payload));
  const signature = sign("sha256", Buffer.from(`${header}.${body}`, "latin1"), { key, dsaEncoding: "ieee-p1363" });
  return JSON.stringify({ protected: header, payload: body, signature: signature.toString("base64url") });
}

/** What a challenge's token has to be answered with (RFC 8555 section 8.1): the token and the thumbprint (RFC 7638) of the key. */
export function keyAuthorizationOf(token: string, key: KeyObject): string {
  const thumbprint = createHash("sha256")
    .update(JSON.stringify(publicJwk(key)))
    .digest("base64url");
  return `${token}.${thumbprint}`;
}

/** Members in the order that a thumbprint needs (RFC 7638 section 3.3). */
function publicJwk(key: KeyObject): { crv: string; kty: string; x: string; y: string } {
  const { crv = "", kty = "", x = "", y = "" } = createPublicKey(key).export({ format: "jwk" });
  return { crv, kty, x, y };
}

function encode(text: string): string {
  return Buffer.from(text, "utf8").toString("base64url");
}
