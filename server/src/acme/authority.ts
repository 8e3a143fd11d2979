import type { KeyObject } from "node:crypto";
import { AcmeFault } from "./fault.ts";
import { isObject, parseObject, textOf } from "./json.ts";
import { signRequest } from "./signature.ts";
import type { Answer, Transport } from "./transport.ts";

/** An object of the authority, with where it is and when to ask again. */
export interface Resource {
  body: Readonly<Record<string, unknown>>;
  /** Its `Location`; empty where the answer had none. */
  location: string;
  retryAfterMs: number | null;
}

interface Directory {
  newNonce: string;
  newAccount: string;
  newOrder: string;
}

/** A nonce that the authority does not know (any more) is no fault of the request (RFC 8555 section 6.5). */
const maxNonceRetries = 5;
const problemPrefix = "urn:ietf:params:acme:error:";

/** Signed requests to one authority (RFC 8555 section 6). Every method rejects with {@link AcmeFault} when it is refused. */
export class Authority {
  readonly directory: Directory;
  readonly key: KeyObject;
  /** URL of the account; `null` until there is one. */
  account: string | null = null;
  readonly #transport: Transport;
  #nonce: string | null = null;

  /** Asks for the directory at `url` (section 7.1.1). */
  static async open(transport: Transport, url: string, key: KeyObject): Promise<Authority> {
    const answer = await transport.send("GET", url);
    const entries = answer.status === 200 ? (parseObject(answer.text) ?? {}) : {};
    const pick = (name: keyof Directory): string => textOf(entries, name);
    const directory = { newNonce: pick("newNonce"), newAccount: pick("newAccount"), newOrder: pick("newOrder") };
    if (Object.values(directory).includes("")) throw new AcmeFault(`There is no ACME directory at ${url}.`);
    return new Authority(transport, directory, key);
  }

  private constructor(transport: Transport, directory: Directory, key: KeyObject) {
    this.#transport = transport;
    this.directory = directory;
    this.key = key;
  }

  /** Sends `payload`; `null` only reads (section 6.3). */
  async post(url: string, payload: unknown): Promise<Resource> {
    const { headers, text } = await this.#post(url, payload);
    return {
      body: text === "" ? {} : bodyOf(text),
      location: headers.location ?? "",
      retryAfterMs: retryAfterOf(headers["retry-after"]),
    };
  }

  /** Reads what is not JSON: a chain of certificates. */
  async download(url: string): Promise<string> {
    return (await this.#post(url, null)).text;
  }

  async #post(url: string, payload: unknown): Promise<Answer> {
    for (let tries = 0; ; tries++) {
      const nonce = this.#nonce ?? (await this.#newNonce());
      this.#nonce = null;
      const account = url === this.directory.newAccount ? null : this.account;
      const answer = await this.#transport.send("POST", url, signRequest(this.key, { url, nonce, account }, payload));
      this.#nonce = nonceOf(answer);
      if (answer.status < 400) return answer;
      const fault = faultOf(answer);
      if (fault.type !== "badNonce" || tries >= maxNonceRetries) throw fault;
    }
  }

  async #newNonce(): Promise<string> {
    const nonce = nonceOf(await this.#transport.send("HEAD", this.directory.newNonce));
    if (nonce === null) throw new AcmeFault("The authority gave no nonce.");
    return nonce;
  }
}

/** A problem document (RFC 7807) as one line: what it says, and what it says of each name. */
export function problemText(problem: unknown): string {
  if (!isObject(problem)) return "it did not say why";
  const parts = Array.isArray(problem["subproblems"]) ? problem["subproblems"].map(problemText) : [];
  const own = [shortType(textOf(problem, "type")), textOf(problem, "detail")].filter((text) => text !== "");
  // One line of the log, however many the authority took.
  return [own.join(": "), ...parts].join("; ").replace(/\s+/g, " ").slice(0, 500);
}

function faultOf({ status, headers, text }: Answer): AcmeFault {
  const retryAfterMs = retryAfterOf(headers["retry-after"]);
  const problem = parseObject(text);
  // A proxy's page, or nothing.
  if (problem === null) return new AcmeFault(`The authority answered ${status}.`, { retryAfterMs });
  const type = shortType(textOf(problem, "type"));
  return new AcmeFault(`The authority refused: ${problemText(problem)}`, { type, retryAfterMs });
}

function shortType(type: string): string {
  return type.startsWith(problemPrefix) ? type.slice(problemPrefix.length) : type;
}

function bodyOf(text: string): Record<string, unknown> {
  const body = parseObject(text);
  if (body === null) throw new AcmeFault("The authority answered something that is no ACME.");
  return body;
}

function nonceOf({ headers }: Answer): string | null {
  const nonce = headers["replay-nonce"];
  return typeof nonce === "string" && nonce !== "" ? nonce : null;
}

/** Seconds or a date (RFC 9110 section 10.2.3), as milliseconds from now. */
function retryAfterOf(header: string | undefined): number | null {
  if (header === undefined) return null;
  const afterMs = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(afterMs) ? Math.max(0, afterMs) : null;
}
