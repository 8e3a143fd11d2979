import { createHash } from "node:crypto";
import { join } from "node:path";
import { Authority } from "./authority.ts";
import { AcmeFault } from "./fault.ts";
import { textOf } from "./json.ts";
import { keepFile, keepKey, readObject } from "./kept-files.ts";
import type { Transport } from "./transport.ts";

export interface AccountOptions {
  /** Where accounts are kept. */
  accountDir: string;
  directoryUrl: string;
  /** Where the authority may write to; `null` gives none. */
  email: string | null;
}

/**
 * The authority with our account at it (RFC 8555 section 7.3), which is kept with its key: made at the first time and
 * used again from then on, also after a restart. Making one agrees to the authority's terms. Each directory has its own.
 */
export async function openAccount(transport: Transport, options: AccountOptions): Promise<Authority> {
  const { directoryUrl, email } = options;
  const place = placeOf(options);
  const authority = await Authority.open(transport, directoryUrl, await keepKey(join(place, "key.pem")));
  const contact = email === null ? [] : [`mailto:${email}`];
  const file = join(place, "account.json");
  const kept = await readAccount(file);
  authority.account = kept.url;
  if (kept.url !== null && kept.email === email) return authority;
  if (kept.url === null || !(await updateContact(authority, kept.url, contact))) {
    const { location } = await authority.post(authority.directory.newAccount, { termsOfServiceAgreed: true, contact });
    if (location === "") throw new AcmeFault("The authority did not say which account is ours.");
    authority.account = location;
  }
  await keepFile(file, `${JSON.stringify({ directory: directoryUrl, url: authority.account, email }, null, 2)}\n`);
  return authority;
}

/** Forgets where the account is; the key is kept, so that an authority that still knows it answers the same one. */
export async function forgetAccount(options: AccountOptions): Promise<void> {
  await keepFile(join(placeOf(options), "account.json"), "{}\n");
}

function placeOf({ accountDir, directoryUrl }: AccountOptions): string {
  return join(accountDir, `account-${createHash("sha256").update(directoryUrl).digest("hex").slice(0, 16)}`);
}

/** False when the authority does not know the account any more. */
async function updateContact(authority: Authority, url: string, contact: readonly string[]): Promise<boolean> {
  try {
    await authority.post(url, { contact });
    return true;
  } catch (error) {
    if (error instanceof AcmeFault && error.type === "accountDoesNotExist") return false;
    throw error;
  }
}

async function readAccount(file: string): Promise<{ url: string | null; email: string | null }> {
  const kept = await readObject(file);
  return { url: textOf(kept, "url") || null, email: textOf(kept, "email") || null };
}
