import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import type { SeedMailList } from "@catmails/client";
import { summarizeMail } from "../../src/mime/mime.ts";
import { openStore, type Resident } from "./household.ts";
import { sha256 } from "./ledger.ts";
import type { FoundMail } from "./verdict.ts";

/** A mail as the API listed it, with its text as a hash. */
export interface ListedMail {
  id: number;
  subject: string;
  mailTo: string;
  contentSha256: string;
}

/** Every mail of a resident's mailboxes through the documented call, oldest first, page after page by `since`. */
export async function listThroughApi(api: string, resident: Resident): Promise<ListedMail[]> {
  const all: ListedMail[] = [];
  for (;;) {
    const query = new URLSearchParams({
      mail: resident.addresses.join(","),
      limit: "200",
      since: String(all.at(-1)?.id ?? 0),
    });
    const response = await fetch(`${api}?${query.toString()}`, {
      headers: { authorization: `Bearer ${resident.key}` },
    });
    const page = (await response.json()) as SeedMailList;
    if (response.status !== 200) throw new Error(`${response.status}: ${JSON.stringify(page)}`);
    if (page.count === 0) return all;
    for (const { id, subject, mail_to: mailTo, content } of page.data.toReversed()) {
      all.push({ id, subject, mailTo, contentSha256: sha256(Buffer.from(content)) });
    }
  }
}

/** Every mail in the store with its raw bytes, and what is wrong with how the API had listed them before. */
export async function readBack(
  dataDir: string,
  residents: readonly { resident: Resident; listed: readonly ListedMail[] }[],
): Promise<{ found: FoundMail[]; faults: string[] }> {
  await using store = await openStore(dataDir);
  const found: FoundMail[] = [];
  const faults: string[] = [];
  for (const { resident, listed } of residents) {
    const user = await store.findUser(resident.address);
    if (user === null) throw new Error(`${resident.address} is gone`);
    const byId = new Map(listed.map((mail) => [mail.id, mail]));
    const lastId = (await store.lastMailIds([user.id])).get(user.id) ?? 0;
    if (byId.size !== listed.length) faults.push(`${resident.address}: an id was listed twice`);
    if (listed.length !== lastId) faults.push(`${resident.address}: ${listed.length} listed of ${lastId}`);
    for (let id = 1; id <= lastId; id++) {
      const mail = await store.readMail({ userId: user.id, id, mailboxIds: null, nowMs: Date.now() });
      const shown = byId.get(id);
      if (mail === null || shown === undefined) {
        faults.push(`${resident.address} ${id}: ${mail === null ? "not stored" : "not listed"}`);
        continue;
      }
      // What nobody had asked for is in raw only.
      const contentSha256 = sha256(Buffer.from(mail.content ?? summarizeMail(mail.raw).content));
      const same =
        shown.subject === mail.subject && shown.mailTo === mail.mailTo && shown.contentSha256 === contentSha256;
      if (!same) faults.push(`${resident.address} ${id}: listed differently than stored`);
      const raw = Buffer.from(mail.raw);
      if (!raw.includes(mail.subject)) faults.push(`${resident.address} ${id}: subject and raw belong to two mails`);
      found.push({ token: mail.subject, sha256: sha256(raw), mailTo: mail.mailTo, owner: resident.address, id });
    }
  }
  return { found, faults };
}

/** What SQLite itself has to say against the database of a data directory; empty when it is sound. */
export function integrityFaults(dataDir: string): string[] {
  using database = new DatabaseSync(join(dataDir, "catmails.db"), { readOnly: true });
  const rows = database.prepare("PRAGMA integrity_check").all();
  return rows.map((row) => String(row["integrity_check"])).filter((text) => text !== "ok");
}
