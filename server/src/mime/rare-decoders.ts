import { createRequire } from "node:module";

// Encoded words, odd charsets and the references of HTML are not in every mail, and a start should not wait for what reads
// them (measured: 45 ms and 6 MB). Only these functions load it; Node keeps what is loaded.
const load = createRequire(import.meta.url);

/** libmime, loaded by the first call. */
export function libmime(): (typeof import("libmime"))["default"] {
  return load("libmime") as (typeof import("libmime"))["default"];
}

/** Text of a charset that the platform does not know and libmime supports. */
export function decodeLegacy(bytes: Buffer, charset: string): string {
  return (load("libmime/lib/charset.js") as typeof import("libmime/lib/charset.js")).decode(bytes, charset);
}

/** Character references of HTML, loaded by the first call. */
export function entities(): typeof import("entities/decode") {
  return load("entities/decode") as typeof import("entities/decode");
}
