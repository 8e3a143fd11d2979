import { Refusal } from "../../errors.ts";

/** An object of a JSON document; what its fields hold is not known yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Parses a JSON object. Throws `invalid_body` for anything else. */
export function parseObject(text: string): JsonObject {
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
