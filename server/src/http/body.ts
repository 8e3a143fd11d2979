import type { FastifyInstance, FastifyRequest } from "fastify";
import { Refusal } from "../errors.ts";
import { Parameters } from "./parameters.ts";

/** Has bodies of every type read whole, up to the server's body limit; {@link readParameters} parses them. */
export function acceptBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
}

/**
 * The parameters of a request: the query first, then those of its body. A body is a form, JSON or multipart by its
 * Content-Type, and a form where it has none; an empty body has no parameters. Throws `invalid_parameter`,
 * `invalid_body` and `unsupported_body`.
 */
export async function readParameters(request: FastifyRequest): Promise<Parameters> {
  const query = Parameters.ofTarget(request.raw.url ?? "");
  const { body } = request;
  if (!(body instanceof Uint8Array) || body.byteLength === 0) return query;
  const coding = request.headers["content-encoding"];
  if (coding !== undefined && coding !== "identity") throw new Refusal("unsupported_body");
  return query.or(await parseBody(body, request.headers["content-type"] ?? "application/x-www-form-urlencoded"));
}

function parseBody(body: Uint8Array, contentType: string): Parameters | Promise<Parameters> {
  switch (contentType.split(";", 1)[0]?.trim().toLowerCase()) {
    case "application/x-www-form-urlencoded":
      return Parameters.parse(decodeText(body));
    case "application/json":
      return parseJson(decodeText(body));
    case "multipart/form-data":
      return parseMultipart(body, contentType);
    default:
      throw new Refusal("unsupported_body");
  }
}

function decodeText(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch (cause) {
    throw new Refusal("invalid_body", { cause });
  }
}

/** An object of texts and numbers; `mail` may be a list of texts. */
function parseJson(text: string): Parameters {
  const body = parseObject(text);
  const parameters = new Parameters();
  for (const [name, value] of Object.entries(body)) {
    const values: readonly unknown[] = name === "mail" && Array.isArray(value) ? value : [value];
    for (const one of values) {
      if (typeof one !== "string" && typeof one !== "number") {
        throw new Refusal("invalid_parameter", { detail: "values in JSON are texts and numbers, mail may be a list" });
      }
      // An escape such as \ud800 alone says something that UTF-8 cannot.
      if (!String(one).isWellFormed()) throw new Refusal("invalid_parameter", { detail: "a text is not Unicode" });
      parameters.add(name, String(one));
    }
  }
  return parameters;
}

function parseObject(text: string): object {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (cause) {
    throw new Refusal("invalid_body", { cause });
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) throw new Refusal("invalid_body");
  return body;
}

async function parseMultipart(body: Uint8Array, contentType: string): Promise<Parameters> {
  const parameters = new Parameters();
  for (const [name, value] of await parseFormData(body, contentType)) {
    if (typeof value !== "string") throw new Refusal("invalid_parameter", { detail: "files are not taken" });
    parameters.add(name, value);
  }
  return parameters;
}

/** The runtime's own parser: the body is whole and bounded already, so nothing is won by a streaming one. */
async function parseFormData(body: Uint8Array, contentType: string): Promise<FormData> {
  try {
    return await new Response(new Uint8Array(body), { headers: { "content-type": contentType } }).formData();
  } catch (cause) {
    throw new Refusal("invalid_body", { cause });
  }
}
