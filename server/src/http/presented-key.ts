import { isRefusal, Refusal } from "../errors.ts";
import type { Access, AccessControl, IngestAccess } from "../mail/access.ts";
import type { Parameters } from "./parameters.ts";

const bearer = /^bearer +(\S+) *$/i;
const basic = /^basic +([A-Za-z0-9+/=]+) *$/i;

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

  /**
   * A key as those who post mail can present it: as the constructor has it, or as the password of Basic authentication
   * (RFC 7617), which a provider makes of a URL with user and password. Throws `missing_key`.
   */
  static forIngest(authorization: string | undefined, parameters: Parameters): PresentedKey {
    const credentials = basic.exec(authorization ?? "")?.[1];
    if (credentials === undefined) return new PresentedKey(authorization, parameters);
    const text = Buffer.from(credentials, "base64").toString("utf8");
    return new PresentedKey(`Bearer ${text.slice(text.indexOf(":") + 1)}`, parameters);
  }

  /** What the key may do. Throws `invalid_key` or `invalid_api_key`, and `ingest_only_key`. */
  async authenticate(control: AccessControl): Promise<Access> {
    return this.#known(await control.authenticate(this.#text));
  }

  /** Whom the key may hand mail to. Throws `invalid_key` or `invalid_api_key`, and `ingest_key_required`. */
  async authenticateIngest(control: AccessControl): Promise<IngestAccess> {
    return this.#known(await control.authenticateIngest(this.#text));
  }

  /** The error to answer with when `error` may say that the key went bad during a call. */
  wording(error: unknown): unknown {
    return isRefusal(error, "invalid_key") ? new Refusal(this.#refusal, { cause: error }) : error;
  }

  #known<T>(access: T | null): T {
    if (access === null) throw new Refusal(this.#refusal);
    return access;
  }
}
