#!/usr/bin/env node
// The front door, in plain JavaScript: an older Node has to get as far as the line below, and it cannot read TypeScript.
import module from "node:module";
import { dirname } from "node:path";
import process from "node:process";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

if (major < 24 || (major === 24 && minor < 16)) {
  process.stderr.write(
    `Cat Mails needs Node.js 24.16 or newer; this is ${process.versions.node} (${process.execPath}).\n`,
  );
  process.exitCode = 1;
} else {
  // Keeps compiled code, types already stripped, from one start to the next.
  module.enableCompileCache();
  // Worker threads do not inherit it but read this (measured: 0.45 s to 0.3 s for a short command).
  const cacheDirectory = module.getCompileCacheDir();
  if (cacheDirectory !== undefined) process.env["NODE_COMPILE_CACHE"] ??= dirname(cacheDirectory);
  const { main } = await import("../src/main.ts");
  process.exitCode = await main(process.argv);
}
