import { Refusal } from "../../errors.ts";

/** An object of a JSON document; what its fields hold is not known yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** More than a provider puts into one post. A value costs up to 50 times its bytes in memory. */
const maxValues = 100_000;

/** Parses a JSON object. Throws `invalid_body` for anything else, and for one of more than 100,000 values. */
export function parseObject(text: string): JsonObject {
  if (text.length > maxValues && hasTooManyValues(text)) throw new Refusal("invalid_body");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Refusal("invalid_body", { cause });
  }
  return asObject(value);
}

/** A field that holds an object. Throws `invalid_body` when it does not. */
export function objectOf(object: JsonObject, name: string): JsonObject {
  return asObject(object[name]);
}

/** A field that holds a text; "" where it is missing or something else. */
export function textOf(object: JsonObject, name: string): string {
  const value = object[name];
  return typeof value === "string" ? value : "";
}

/** The texts of a field that holds a list. */
export function textList(object: JsonObject, name: string): string[] {
  const value = object[name];
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : [];
}

function asObject(value: unknown): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Refusal("invalid_body");
  return value as JsonObject;
}

/** Linear, and makes nothing: JSON.parse would make it all before anybody could count. */
function hasTooManyValues(text: string): boolean {
  let values = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) at = textEnd(text, at);
    else if ((code === comma || code === openBracket || code === openBrace) && ++values > maxValues) return true;
  }
  return false;
}

/** Offset of the quote that closes the text at `start`. */
function textEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) return at;
    if (code === backslash) at++;
  }
  return text.length;
}

const quote = 0x22;
const comma = 0x2c;
const openBracket = 0x5b;
const backslash = 0x5c;
const openBrace = 0x7b;
