import assert from "node:assert/strict";
import { ConfigError, loadConfig, parseBytes, parseDuration } from "../../../src/config.ts";
import { settings } from "../../../src/settings.ts";
import type { Target } from "../target.ts";

const names = Object.keys(settings);

/** The first octet chooses the setting, the others are its value. */
export const configuration: Target = {
  name: "configuration",
  promise: "a value of any setting is taken or refused in one line",
  seeds: () =>
    names.flatMap((_, i) => ["1", "25MiB", "30s", "a.example", "a@b.example"].map((v) => String.fromCharCode(i) + v)),
  words: [
    "0",
    "9",
    "KiB",
    "MiB",
    "s",
    "d",
    ".",
    "-",
    "@",
    "a",
    "e9",
    "Europe/Berlin",
    "\u00c3\u00bc",
    "\u0000",
    " ",
    "\n",
    "mk_",
  ],
  maxBytes: 256,
  check(input) {
    const name = names[(input[0] ?? 0) % names.length] ?? "";
    const text = input.toString("utf8", 1);
    for (const value of [parseBytes(text), parseDuration(text)]) {
      assert.ok(value === null || (Number.isSafeInteger(value) && value >= 0));
    }
    try {
      const { config } = loadConfig({ env: { [`CATMAILS_${name.toUpperCase()}`]: text }, cwd: "/nowhere" });
      for (const value of Object.values(config)) assert.ok(typeof value !== "number" || Number.isSafeInteger(value));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      assert.ok(error.message.isWellFormed() && error.message.length < 2 * text.length + 400);
    }
  },
};
