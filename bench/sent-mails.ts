import { randomBytes } from "node:crypto";
import { createLog } from "../server/src/log.ts";
import { openSqliteStore } from "../server/src/store/sqlite/sqlite-store.ts";
import { numberIn, SampleMails, tokenIn, type MailSize } from "./sample-mail.ts";

/** Mails of each mailbox's user that are compared byte for byte. */
const comparedMails = 1_000;
const userPage = 1_000;

interface Run {
  samples: SampleMails;
  acknowledged: number;
  failed: number;
}

/** What runs of one server sent, so that its store can be held to every acknowledgement. */
export class SentMails {
  readonly #runs = new Map<string, Run>();

  /** A token for a run to come; its mails are then known by it. */
  newToken(size: MailSize): string {
    const token = randomBytes(6).toString("hex");
    this.#runs.set(token, { samples: new SampleMails(size, token), acknowledged: 0, failed: 0 });
    return token;
  }

  /** Mails that were acknowledged, and those of which the sender does not know. */
  note(token: string, { acknowledged, failed }: { acknowledged: number; failed: number }): void {
    const run = this.#runs.get(token);
    if (run === undefined) throw new Error("A token that was not given out");
    run.acknowledged += acknowledged;
    run.failed += failed;
  }

  /**
   * Counts the mails in the store of a server that has ended, and compares some of them, spread over all, with what was sent.
   * Forgets all runs. Throws when a mail is missing, too many or not the same.
   */
  async verify(dataDir: string): Promise<string> {
    const runs = [...this.#runs.values()];
    const acknowledged = runs.reduce((sum, run) => sum + run.acknowledged, 0);
    const failed = runs.reduce((sum, run) => sum + run.failed, 0);
    const { stored, compared } = await this.#compare(dataDir);
    this.#runs.clear();
    if (stored < acknowledged || stored > acknowledged + failed) {
      throw new Error(`${acknowledged} mails were acknowledged, but ${stored} are stored`);
    }
    return `${stored} mails acknowledged and stored, ${compared} of them compared byte for byte`;
  }

  async #compare(dataDir: string): Promise<{ stored: number; compared: number }> {
    const log = createLog({ level: "warn", format: "json", write: (line) => process.stderr.write(line) });
    await using store = await openSqliteStore({ dataDir, log });
    let [stored, compared, afterId] = [0, 0, 0];
    for (;;) {
      const users = await store.listUsers({ afterId, limit: userPage });
      for (const { id: userId, mailCount } of users) {
        stored += mailCount;
        const step = Math.max(1, Math.floor(mailCount / comparedMails));
        for (let id = 1; id <= mailCount && compared < comparedMails; id += step, compared++) {
          const mail = await store.readMail({ userId, id, mailboxIds: null, nowMs: Date.now() });
          if (mail === null || !this.#isSame(mail.raw)) throw new Error(`Mail ${id} is not what was sent`);
        }
      }
      afterId = users.at(-1)?.id ?? 0;
      if (users.length < userPage) return { stored, compared };
    }
  }

  #isSame(raw: Uint8Array): boolean {
    const bytes = Buffer.from(raw);
    const number = numberIn(bytes);
    const run = this.#runs.get(tokenIn(bytes) ?? "");
    return number !== null && run !== undefined && run.samples.bytesOf(number).equals(bytes);
  }
}
