import { createPrivateKey, generateKeyPair, type KeyObject } from "node:crypto";
import { chmod, mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { promisify } from "node:util";
import { systemCodeOf } from "../errors.ts";
import { AcmeFault } from "./fault.ts";
import { parseObject } from "./json.ts";

/** Text of a file; `null` when there is none. Rejects with the system's fault otherwise. */
export async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return null;
    throw error;
  }
}

/** The JSON object in a file; an empty one where there is none, or something else. */
export async function readObject(path: string): Promise<Record<string, unknown>> {
  return parseObject((await readIfThere(path)) ?? "") ?? {};
}

/**
 * Puts a file in place in one step, with mode 0600, in a directory that is made (0700) where it is missing. Resolves once
 * it would also be there after a power cut; until then the file is as it was.
 */
export async function keepFile(file: string, text: string): Promise<void> {
  const path = resolve(file);
  const made = await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.new`;
  await using handle = await open(draft, "w", 0o600);
  // A draft that was left behind may have another mode.
  await chmod(draft, 0o600);
  await handle.writeFile(text);
  await handle.sync();
  await rename(draft, path);
  await syncDirectory(dirname(path));
  if (made !== undefined) await syncAbove(dirname(path), made);
}

/** The P-256 key in a file, made and kept there where there is none. Throws {@link AcmeFault} when the file holds something else. */
export async function keepKey(path: string): Promise<KeyObject> {
  const pem = await readIfThere(path);
  if (pem !== null) return readKey(path, pem);
  const { privateKey } = await promisify(generateKeyPair)("ec", { namedCurve: "P-256" });
  await keepFile(path, privateKey.export({ type: "pkcs8", format: "pem" }).toString());
  return privateKey;
}

function readKey(path: string, pem: string): KeyObject {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyDetails?.namedCurve === "prime256v1") return key;
  } catch {
    // Said below.
  }
  throw new AcmeFault(`${path} holds no P-256 key. Move it away, and a new one is made.`);
}

/** Every directory that was made, from `path` up to `top`, in the one above it. */
async function syncAbove(path: string, top: string): Promise<void> {
  await syncDirectory(dirname(path));
  if (path.length > top.length) await syncAbove(dirname(path), top);
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, "r");
  await directory.sync();
}
