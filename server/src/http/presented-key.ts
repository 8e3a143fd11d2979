import { isRefusal, Refusal } from "../errors.ts";
import type { Access, AccessControl } from "../mail/access.ts";
import type { Parameters } from "./parameters.ts";

const bearer = /^bearer +(\S+) *$/i;

/** A key as it was presented, and the documented answer for this way of presenting it when it is not a good one. */
export class PresentedKey {
  readonly #text: string;
  readonly #refusal: "invalid_key" | "invalid_api_key";

  /** The key in a Bearer header (RFC 6750 section 2.1), else the one in the parameter `key`. Throws `missing_key`. */
  constructor(authorization: string | undefined, parameters: Parameters) {
    const token = bearer.exec(authorization ?? "")?.[1];
    const text = token ?? parameters.text("key");
    if (text === undefined) throw new Refusal("missing_key");
    this.#text = text;
    this.#refusal = token === undefined ? "invalid_key" : "invalid_api_key";
  }

  /** What the key may do. Throws `invalid_key` or `invalid_api_key`. */
  async authenticate(control: AccessControl): Promise<Access> {
    const access = await control.authenticate(this.#text);
    if (access === null) throw new Refusal(this.#refusal);
    return access;
  }

  /** The error to answer with when `error` may say that the key went bad during a call. */
  wording(error: unknown): unknown {
    return isRefusal(error, "invalid_key") ? new Refusal(this.#refusal, { cause: error }) : error;
  }
}
