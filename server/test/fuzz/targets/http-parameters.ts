import assert from "node:assert/strict";
import type { FastifyRequest } from "fastify";
import { Refusal } from "../../../src/errors.ts";
import { readParameters } from "../../../src/http/body.ts";
import { Parameters } from "../../../src/http/parameters.ts";
import { assertText, type Target } from "../target.ts";

const names = ["key", "type", "action", "mail", "since", "limit", "wait", "name", "domain", "lifetime"];
const types = [
  "application/x-www-form-urlencoded",
  "application/json; charset=utf-8",
  "multipart/form-data; boundary=x",
  "multipart/form-data",
  "text/plain",
];

/** What a handler may do with them; answers null where it is refused, and throws for anything else. */
function orRefusal<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof Refusal) return null;
    throw error;
  }
}

function checkParameters(parameters: Parameters, bytes: number): void {
  for (const text of [...parameters.mail, ...names.map((name) => parameters.text(name) ?? "")]) assertText(text, bytes);
  for (const name of names) {
    const count = orRefusal(() => parameters.integer(name, { min: 1, max: 200 })) ?? 1;
    assert.ok(Number.isInteger(count) && count >= 1 && count <= 200);
    const ms = orRefusal(() => parameters.secondsAsMs(name)) ?? 0;
    assert.ok(Number.isFinite(ms) && ms >= 0);
  }
}

export const httpQuery: Target = {
  name: "http-query",
  promise: "a query is parameters of well-formed text, or refused",
  seeds: () => ["/api?key=mk_x&mail=a%40b.example&limit=10", "/api?mail=a&mail=b&since=1", "/?a[b]=1", "/api?wait=1.5"],
  words: [
    "&",
    "=",
    "?",
    "%",
    "%40",
    "%ff",
    "%00",
    "+",
    "[",
    "mail=",
    "limit=",
    "since=",
    "wait=",
    "__proto__=",
    "1",
    "#",
  ],
  check(input) {
    const target = input.toString("latin1");
    const parameters = orRefusal(() => Parameters.ofTarget(target));
    if (parameters !== null) checkParameters(parameters, target.length);
  },
};

/** The first octet chooses the type, the others are the body. */
export const httpBody: Target = {
  name: "http-body",
  promise: "a body of any type is parameters of well-formed text, or refused",
  seeds: () => [
    "\u0000key=mk_x&mail=a%40b.example&limit=10",
    '\u0001{"key":"mk_x","mail":["a@b.example","c"],"limit":10}',
    '\u0002--x\r\nContent-Disposition: form-data; name="mail"\r\n\r\na@b.example\r\n--x--\r\n',
    '\u0002--x\r\nContent-Disposition: form-data; name="f"; filename="g"\r\n\r\nz\r\n--x--\r\n',
    "\u0003a",
    "\u0004a",
  ],
  words: [
    ..."& = % %40 %ff { } [ ] , : null true 1e999 \\ud800 \\u0000 --x --x-- name= filename= mail limit __proto__".split(
      " ",
    ),
    '"',
    '"mail":',
    "\r\n",
    "\r\n\r\n",
    "Content-Disposition: form-data; ",
    "\u00ff",
    "\u00c3\u00bc",
  ],
  async check(input) {
    const body = input.subarray(1);
    const headers = { "content-type": types[(input[0] ?? 0) % types.length] };
    const request = { raw: { url: "/api?limit=3" }, body, headers } as unknown as FastifyRequest;
    try {
      checkParameters(await readParameters(request), body.length + 8);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
  },
};
