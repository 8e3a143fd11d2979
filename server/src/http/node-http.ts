/**
 * node:http as `require` gives it. An `import` of it also loads what hangs on it and nobody here uses, a browser's WebSocket
 * with the whole of undici (measured: 35 ms and 4 MB at every start).
 */
export function nodeHttp(): typeof import("node:http") {
  return process.getBuiltinModule("node:http");
}
